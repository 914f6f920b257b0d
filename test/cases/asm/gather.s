# Members take eight elements of X each, where I says. One of them may meet an index that is out of range.
program gather
grid 2 x 2
scalars 0
binding I i32 32 read
binding X f32 16 read
binding Y f32 32 write
queue qI l1 i32 8 depth 1 at 0 from load.0 -> load.1
queue qX l1 f32 8 depth 1 at 64 from load.1 -> store.0
role take

loop t members 0..4 step 1
  ld.0 qI.pub <- I[8*t] (8: 1 -> 1) as take
  gather.1 qX.pub <- X[0] (8: 1 -> 1) at qI.pop (1) axis 0 in 16 as take
  st.0 qX.pop -> Y[8*t] (8: 1 -> 1) as take
end
halt
