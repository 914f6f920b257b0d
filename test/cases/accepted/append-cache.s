# Appends a row to a cache at a place that only the launch knows, then reads the cache: a clip, then a barrier.
program append
grid 4 x 1
scalars 2
binding row f32 64 read
binding cache f32 65536 shared
binding sum f32 4 write
queue qR l1 f32 16 depth 1 at 0 from load.0 -> store.0
queue qC l1 f32 1024 depth 2 at 4096 from load.1 -> vector
queue qS l1 f32 16 depth 1 at 64 from vector -> vector
queue qO l1 f32 1 depth 1 at 128 from vector -> store.0
role append
role sum

loop h rows 0..4 step 1
  ld.0 qR.pub <- row[16*h] (16: 1 -> 1) as append
  st.0 qR.pop -> cache[16384*h + 16*$0] (1: 16 -> 16 clip $0 by 1 in 1024) (16: 1 -> 1) as append
end
barrier
loop h2 rows 0..4 step 1
  loop t 0..$1 in 1..1024 step 64
    ld.1 qC.pub <- cache[16384*h2 + 16*t] (ext(t) <= 64: 16 -> 16) (16: 1 -> 1) as sum
    vec (reduce ext(t) <= 64) (reduce 16) in qC.pop (16, 1) lanes { r0:f32 = input 0 -> r0 }
        out qS.pub@l(t) (0, 0) reduce sum from 16*t init@f(t) partials 1 as sum
  end
  vec (reduce 16) in qS.pop (1) lanes { r0:f32 = input 0 -> r0 } out qO.pub (0) reduce sum init as sum
  st.0 qO.pop -> sum[h2] (1: 1 -> 1) as sum
end
halt
