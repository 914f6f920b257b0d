# Each column loads a quarter of a vector; all of them get the whole.
program collect
grid 1 x 4
scalars 0
binding x f32 64 read
binding W f32 4096 read
binding y f32 64 write
queue qX l1 f32 64 depth 1 at 0 from load.0 -> tensor
queue qW l1 f32 1024 depth 1 at 256 from load.1 -> tensor
queue qY l1 f32 16 depth 1 at 8192 from vector -> store.0
queue acc accumulator f32 16 depth 1 at 0 from tensor -> vector
role product

loop n columns 0..64 step 16
  ld.0 qX[n].pub <- x[n] (16: 1 -> 1) to collect n as product
  ld.1 qW.pub <- W[64*n] (16: 64 -> 64) (64: 1 -> 1) as product
  mma acc.pub += qW.pop * qX.pop (m 16: 64, 0, 1) (k 64: 1, 1, 0) clear fold as product
  vec (parallel 16) in acc.pop (1) lanes { r0:f32 = input 0 -> r0 } out qY.pub (1) as product
  st.0 qY.pop -> y[n] (16: 1 -> 1) as product
end
halt
