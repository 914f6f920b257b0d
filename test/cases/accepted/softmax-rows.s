# Softmax over rows longer than the scratchpad: three passes, the maximum and the sum kept in the head of a queue.
program softmax
grid 4 x 1
scalars 1
binding x f32 65536 read
binding y f32 65536 write
queue q0 l1 f32 1 depth 1 at 0 from vector -> vector
queue qS l1 f32 16 depth 1 at 64 from vector -> vector
queue qX l1 f32 1024 depth 2 at 4096 from load.0 -> vector
queue qY l1 f32 1024 depth 2 at 16384 from vector -> store.0
role max
role sum
role divide

loop m rows 0..16 step 4
  loop r 0..ext(m) in 0..4 step 1
    loop c 0..$0 in 1..4096 step 1024
      ld.0 qX.pub <- x[4096*m + 4096*r + c] (ext(c) <= 1024: 1 -> 1) as max
      vec (reduce ext(c) <= 1024) in qX.pop (1) lanes { r0:f32 = input 0 -> r0 }
          out q0.pub@l(c) (0) reduce max init@f(c) as max
    end
    loop c2 0..$0 in 1..4096 step 1024
      ld.0 qX.pub <- x[4096*m + 4096*r + c2] (ext(c2) <= 1024: 1 -> 1) as sum
      vec (reduce ext(c2) <= 1024) in qX.pop (1) in q0 (0) lanes {
            r0:f32 = input 0
            r1:f32 = input 1
            r2 = sub r0 r1
            r3 = exp r2
            -> r3 }
          out qS.pub@l(c2) (0) reduce sum from c2 init@f(c2) partials 1 as sum
    end
    loop c3 0..$0 in 1..4096 step 1024
      ld.0 qX.pub <- x[4096*m + 4096*r + c3] (ext(c3) <= 1024: 1 -> 1) as divide
      vec (parallel ext(c3) <= 1024) in qX.pop (1) in q0.pop@l(c3) (0) in qS.pop@l(c3) (0)
          lanes {
            r0:f32 = input 0
            r1:f32 = input 1
            r2:f32 = input 2
            r3 = sub r0 r1
            r4 = exp r3
            r5 = div r4 r2
            -> r5 }
          out qY.pub (1) as divide
      st.0 qY.pop -> y[4096*m + 4096*r + c3] (ext(c3) <= 1024: 1 -> 1) as divide
    end
  end
end
halt
