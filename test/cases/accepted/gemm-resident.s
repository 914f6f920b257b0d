# A matrix product: B resident per column panel, both operands multicast, bias and relu fused.
program gemm
grid 2 x 2
scalars 0
binding A f32 10000 read
binding B f32 10000 read
binding bias f32 100 read
binding C f32 10000 write
queue qA l1 f32 1024 depth 2 at 0 from load.0 -> tensor
queue qB l1 f32 3200 depth 2 at 8192 from load.1 -> tensor
queue qBias l1 f32 32 depth 2 at 33792 from load.1 -> vector
queue qO l1 f32 1024 depth 2 at 34048 from vector -> store.0
queue acc accumulator f32 1024 depth 2 at 0 from tensor -> vector
role matmul
role relu

loop ty rows 0..100 step 64
  loop tx columns 0..100 step 64
    loop j 0..ext(tx) in 0..64 step 32
      ld.1 qB.pub <- B[tx + j] (100: 100 -> 32) (ext(j) <= 32: 1 -> 1) to multicast ty as matmul
      ld.1 qBias.pub <- bias[tx + j] (ext(j) <= 32: 1 -> 1) to multicast ty as matmul
      loop i 0..ext(ty) in 0..64 step 32
        loop k 0..100 step 32
          ld.0 qA.pub <- A[100*ty + 100*i + k] (ext(i) <= 32: 100 -> 32) (ext(k) <= 32: 1 -> 1)
              to multicast tx as matmul
          mma acc.pub@l(k) += qA.pop * qB[32*k].pop@l(i)&l(k) (m ext(i) <= 32: 32, 0, 32)
              (n ext(j) <= 32: 0, 1, 1) (k ext(k) <= 32: 1, 32, 0) clear@f(k) fold@l(k) as matmul
        end
        vec (parallel ext(i) <= 32) (parallel ext(j) <= 32)
            in acc.pop (32, 1)
            in qBias.pop@l(i) (0, 1)
            lanes {
              r0:f32 = input 0
              r1:f32 = input 1
              r2 = add r0 r1
              r3 = constF 0
              r4 = max r2 r3
              -> r4 }
            out qO.pub (32, 1) as relu
        st.0 qO.pop -> C[100*ty + 100*i + tx + j] (ext(i) <= 32: 100 -> 32)
            (ext(j) <= 32: 1 -> 1) as relu
      end
    end
  end
end
halt
