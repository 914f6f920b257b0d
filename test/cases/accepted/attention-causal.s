# Causal attention, the probabilities one stage behind the scores: a triangular total, a row panel filled in parts.
program attention
grid 4 x 1
scalars 0
binding Q f32 32768 read
binding K f32 32768 read
binding V f32 32768 read
binding O f32 32768 write
queue qQ l1 f32 2048 depth 2 at 0 from load.0 -> tensor
queue qK l1 f32 2048 depth 2 at 16384 from load.1 -> tensor
queue qV l1 f32 2048 depth 2 at 32768 from load.2 -> tensor
queue qS l1 f32 16384 depth 2 at 65536 from vector -> vector
queue qM l1 f32 64 depth 2 at 196608 from vector -> vector
queue qP l1 f32 2048 depth 2 at 262144 from vector -> tensor
queue qL l1 f32 1024 depth 2 at 300000 from vector -> vector
queue qO l1 f32 2048 depth 2 at 327680 from vector -> store.0
queue accS accumulator f32 2048 depth 2 at 0 from tensor -> vector
queue accO accumulator f32 2048 depth 1 at 65536 from tensor -> vector
role scores
role weights
role result

loop h rows 0..4 step 1
  loop i 0..256 step 64
    ld.0 qQ.pub <- Q[8192*h + 32*i] (ext(i) <= 64: 32 -> 32) (32: 1 -> 1) as scores
    loop j 0..i + ext(i) in 1..256 step 32
      ld.1 qK.pub <- K[8192*h + 32*j] (ext(j) <= 32: 32 -> 32) (32: 1 -> 1) as scores
      mma accS.pub += qQ.pop@l(j) * qK.pop (m ext(i) <= 64: 32, 0, 32) (n ext(j) <= 32: 0, 32, 1)
          (k 32: 1, 1, 0) clear fold as scores
      vec (parallel ext(i) <= 64 from i) (reduce ext(j) <= 32 from j) in accS.pop (32, 1) lanes {
            r0:f32 = input 0
            r1 = index 0
            r2 = index 1
            r3 = leI r2 r1
            r4 = constF -inf
            r5 = select r3 r0 r4
            -> r5, r5 }
          out qM.pub@l(j) (1, 0) reduce max init@f(j)
          out qS[j].pub@l(j) (256, 1) as scores
    end
    loop j2 0..i + ext(i) in 1..256 step 32
      vec (parallel ext(i) <= 64) (reduce ext(j2) <= 32) in qS[j2].pop@l(j2) (256, 1)
          in qM.pop@l(j2) (1, 0) lanes {
            r0:f32 = input 0
            r1:f32 = input 1
            r2 = sub r0 r1
            r3 = exp r2
            -> r3, r3 }
          out qP.pub (32, 1)
          out qL.pub@l(j2) (16, 0) reduce sum from j2 init@f(j2) partials 1 stage i + 1 as weights
      ld.2 qV.pub <- V[8192*h + 32*j2] (ext(j2) <= 32: 32 -> 32) (32: 1 -> 1) stage i + 1
          as weights
      mma accO.pub@l(j2) += qP.pop * qV.pop (m ext(i) <= 64: 32, 0, 32) (n 32: 0, 1, 1)
          (k ext(j2) <= 32: 1, 32, 0) clear@f(j2) fold@l(j2) stage i + 1 as weights
    end
    vec (parallel ext(i) <= 64) (parallel 32) in accO.pop (32, 1) in qL.pop (16, 0) lanes {
          r0:f32 = input 0
          r1:f32 = input 1
          r2 = div r0 r1
          -> r2 }
        out qO.pub (32, 1) stage i + 1 as result
    st.0 qO.pop -> O[8192*h + 32*i] (ext(i) <= 64: 32 -> 32) (32: 1 -> 1) stage i + 1 as result
  end
end
halt
