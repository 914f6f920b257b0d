# the level of queue qX changes by -1 or 0, depending on which trip of loop m a member has
program hostile
grid 4 x 1
scalars 0
binding x f32 256 read
binding y f32 256 write
binding m f32 256 shared
queue qX l1 f32 16 depth 2 at 0 from load.0 -> vector
queue qY l1 f32 16 depth 2 at 1024 from vector -> store.0
queue acc accumulator f32 16 depth 1 at 0 from tensor -> vector
queue qW l1 f32 16 depth 2 at 2048 from load.1 -> tensor
queue tok l1 f32 0 depth 1 at 0 from store.0 -> load.0
role r

loop m rows 0..4 step 1
  ld.0 qX.pub <- x[0] (16: 1 -> 1) to push rows +1 as r
  vec (parallel 16) in qX.pop (1) lanes { r0:f32 = input 0 -> r0 } out qY.pub (1) as r
  st.0 qY.pop -> y[16*m] (16: 1 -> 1) as r
end
halt
