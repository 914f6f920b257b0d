# A store that a later load waits for with a token.
program token
grid 1 x 1
scalars 0
binding x f32 64 read
binding m f32 64 shared
binding y f32 64 write
queue q0 l1 f32 16 depth 2 at 0 from load.0 -> store.0
queue q1 l1 f32 64 depth 1 at 128 from load.1 -> store.1
queue done l1 f32 0 depth 1 at 0 from store.0 -> load.1
role copy

loop i 0..64 step 16
  ld.0 q0.pub <- x[i] (16: 1 -> 1) as copy
  st.0 q0.pop -> m[i] (16: 1 -> 1) signal (done.pub@l(i)) as copy
end
ld.1 q1.pub <- m[0] (64: 1 -> 1) wait (done.pop) as copy
st.1 q1.pop -> y[0] (64: 1 -> 1) as copy
halt
