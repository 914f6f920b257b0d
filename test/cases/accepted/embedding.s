# Rows of a table by indices out of a queue, a table lookup in the lanes, a scatter with addition.
program embedding
grid 1 x 1
scalars 1
binding ids i32 100 read
binding table f32 32000 read
binding out f32 3200 write
binding sums f32 32 shared
queue qI l1 i32 16 depth 2 at 0 from load.0 -> load.1, store.1, vector
queue qE l1 f32 512 depth 2 at 128 from load.1 -> store.0
queue qB l1 f32 4 depth 1 at 8192 from load.2 -> vector
queue qV l1 f32 16 depth 2 at 8448 from vector -> store.1
role embed
role count

ld.2 qB.pub <- table[0] (4: 1 -> 1) as count
loop t 0..$0 in 1..100 step 16
  ld.0 qI.pub <- ids[t] (ext(t) <= 16: 1 -> 1) as embed
  gather.1 qE.pub <- table[0] (ext(t) <= 16: 32 -> 32) (32: 1 -> 1) at qI.pop (1, 0) axis 0 in 1000
      as embed
  st.0 qE.pop -> out[32*t] (ext(t) <= 16: 32 -> 32) (32: 1 -> 1) as embed
  vec (parallel ext(t) <= 16) in qI.pop (1) in qB.pop@l(t) (0) lanes {
        r0:i32 = input 0
        r1 = constI 3
        r2 = and r0 r1
        r3:f32 = lookup r2 1
        -> r3 }
      out qV.pub (1) as count
  scatter.1 qV.pop -> sums[0] (ext(t) <= 16: 1 -> 1) at qI.pop (1) axis 0 in 32 by add as count
end
halt
