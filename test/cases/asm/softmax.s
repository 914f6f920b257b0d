# y[r, :] = softmax of the first $0 of 40 elements of x[r, :], rows in chunks of 16: exact maximum first, then 16
# partial sums, one division. The next row's first chunk is loaded while this one is finished.
program softmax
grid 1 x 2
scalars 1
binding x f32 240 read
binding y f32 240 write
queue qx l1 f32 16 depth 2 at 0 from load.0 -> vector
queue qm l1 f32 1 depth 2 at 128 from vector -> vector
queue qs l1 f32 16 depth 1 at 192 from vector -> vector
queue ql l1 f32 1 depth 1 at 256 from vector -> vector
queue qy l1 f32 16 depth 2 at 320 from vector -> store.0
role max
role sum
role divide

loop half columns 0..6 step 3
  loop r 0..ext(half) in 1..3 step 1
    loop c0 0..$0 in 1..40 step 16
      ld.0 qx.pub <- x[40*half + 40*r + c0] (ext(c0) <= 16: 1 -> 1) as max
      vec (reduce ext(c0) <= 16)
          in qx.pop (1)
          lanes { r0:f32 = input 0
                  -> r0 }
          out qm.pub@l(c0) (0) reduce max init@f(c0) as max
    end
    loop c1 0..$0 in 1..40 step 16
      ld.0 qx.pub <- x[40*half + 40*r + c1] (ext(c1) <= 16: 1 -> 1) as sum
      vec (reduce ext(c1) <= 16)
          in qx.pop (1)
          in qm (0)
          lanes { r0:f32 = input 0
                  r1:f32 = input 1
                  r2 = sub r0 r1
                  r3 = exp r2
                  -> r3 }
          out qs.pub@l(c1) (0) reduce sum from c1 init@f(c1) partials 1 as sum
    end
    vec (reduce 16)
        in qs.pop (1)
        lanes { r0:f32 = input 0
                -> r0 }
        out ql.pub (0) reduce sum init as sum
    loop c2 0..$0 in 1..40 step 16
      ld.0 qx.pub <- x[40*half + 40*r + c2] (ext(c2) <= 16: 1 -> 1) as divide
      vec (parallel ext(c2) <= 16)
          in qx.pop (1)
          in qm.pop@l(c2) (0)
          in ql.pop@l(c2) (0)
          lanes { r0:f32 = input 0
                  r1:f32 = input 1
                  r2:f32 = input 2
                  r3 = sub r0 r1
                  r4 = exp r3
                  r5 = div r4 r2
                  -> r5 }
          out qy.pub (1) as divide
      st.0 qy.pop -> y[40*half + 40*r + c2] (ext(c2) <= 16: 1 -> 1) as divide
    end
  end
end
halt
