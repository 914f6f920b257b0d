# A 3x3 convolution, stride 2, pad 1, NCHW 48 x 30 x 31 -> 64 x 15 x 16: halo tiles, clipped loads, ragged everything.
program conv
grid 2 x 2
scalars 0
binding X i8 44640 read
binding W i8 27648 read
binding Y i32 15360 write
queue qX l1 i8 12800 depth 2 at 0 from load.0 -> tensor
queue qW l1 i8 18432 depth 2 at 25600 from load.1 -> tensor
queue qO l1 i32 1024 depth 2 at 65536 from vector -> store.0
queue acc accumulator i32 1024 depth 1 at 0 from tensor -> vector
role conv

loop oh rows 0..15 step 8
  loop co columns 0..64 step 32
    loop ow 0..16 step 4
      loop cb 0..48 step 32
        ld.0 qX.pub <- X[930*cb + 62*oh + 2*ow - 32] (ext(cb) <= 32: 930 -> 400)
            (2*ext(oh) + 1 <= 17: 31 -> 20 clip 2*oh - 1 by 1 in 30)
            (2*ext(ow) + 1 <= 9: 1 -> 1 clip 2*ow - 1 by 1 in 31) as conv
        ld.1 qW.pub <- W[432*co + 9*cb] (ext(co) <= 32: 432 -> 288) (ext(cb) <= 32: 9 -> 9)
            (9: 1 -> 1) as conv
        mma acc.pub@l(cb) += qW.pop * qX.pop (m ext(co) <= 32: 288, 0, 32)
            (n ext(oh) <= 8: 0, 40, 4) (n ext(ow) <= 4: 0, 2, 1) (k 3: 3, 20, 0) (k 3: 1, 1, 0)
            (k ext(cb) <= 32: 9, 400, 0) clear@f(cb) as conv
      end
      vec (parallel ext(co) <= 32) (parallel ext(oh) <= 8) (parallel ext(ow) <= 4)
          in acc.pop (32, 4, 1) lanes { r0:i32 = input 0 -> r0 } out qO.pub (32, 4, 1) as conv
      st.0 qO.pop -> Y[240*co + 16*oh + ow] (ext(co) <= 32: 240 -> 32) (ext(oh) <= 8: 16 -> 4)
          (ext(ow) <= 4: 1 -> 1) as conv
    end
  end
end
halt
