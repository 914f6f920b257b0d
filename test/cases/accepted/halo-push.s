# Each row pushes its last element to the next one; the first row has nothing to receive.
program halo
grid 4 x 1
scalars 0
binding x f32 64 read
binding y f32 64 write
queue qX l1 f32 16 depth 1 at 0 from load.0 -> vector
queue qL l1 f32 1 depth 1 at 64 from load.1 -> vector
queue qY l1 f32 16 depth 1 at 128 from vector -> store.0
role halo

loop h rows 0..64 step 16
  ld.0 qX.pub <- x[h] (16: 1 -> 1) as halo
  ld.1 qL.pub <- x[h + 15] (1: 1 -> 1) to push rows +1 wrap as halo
  vec (parallel 16) in qX.pop (1) in qL.pop (0) lanes {
        r0:f32 = input 0
        r1:f32 = input 1
        r2 = add r0 r1
        -> r2 }
      out qY.pub (1) as halo
  st.0 qY.pop -> y[h] (16: 1 -> 1) as halo
end
halt
