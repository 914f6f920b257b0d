# accumulator in queue acc may reach elements -12 to 3 of 16
program hostile
grid 1 x 1
scalars 0
binding x f32 256 read
binding y f32 256 write
binding m f32 256 shared
queue qX l1 f32 16 depth 2 at 0 from load.0 -> tensor
queue qY l1 f32 16 depth 2 at 1024 from vector -> store.0
queue acc accumulator f32 16 depth 1 at 0 from tensor -> vector
queue qW l1 f32 16 depth 2 at 2048 from load.1 -> tensor
queue tok l1 f32 0 depth 1 at 0 from store.0 -> load.0
role r

ld.0 qX.pub <- x[0] (16: 1 -> 1) as r
ld.1 qW.pub <- x[0] (16: 1 -> 1) as r
mma acc.pub += qX.pop * qW.pop (m 4: 4, 0, -4) (n 4: 0, 1, 1) (k 0: 1, 4, 0) clear fold as r
vec (parallel 16) in acc.pop (1) lanes { r0:f32 = input 0 -> r0 } out qY.pub (1) as r
st.0 qY.pop -> y[0] (16: 1 -> 1) as r
halt
