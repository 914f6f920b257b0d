# Every member writes the one element of X 65536 times: much work for little text.
program long
grid 2 x 2
scalars 0
binding X f32 1 read
binding Y f32 262144 write
queue q l1 f32 1024 depth 2 at 0 from load.0 -> store.0
role copy

loop t members 0..4 step 1
  loop i 0..65536 step 1024
    ld.0 q.pub <- X[0] (1024: 0 -> 1) as copy
    st.0 q.pop -> Y[65536*t + i] (1024: 1 -> 1) as copy
  end
end
halt
