# c[13, 11] = a[13, 70] * b[70, 11] + bias[11] on 2 x 2 members, ragged everywhere.
# Each member has 7 x 6 of c and goes over it in tiles of 4 x 3, over k in blocks of 32. Rows of a are read once
# for all members of a row of the grid, columns of b once for all members of a column.
program gemm
grid 2 x 2
scalars 0
binding a f32 910 read
binding b f32 770 read
binding bias f32 11 read
binding c f32 143 write
queue qa l1 f32 128 depth 2 at 0 from load.0 -> tensor
queue qb l1 f32 96 depth 2 at 1024 from load.1 -> tensor
queue acc accumulator f32 12 depth 1 at 0 from tensor -> vector
queue qbias l1 f32 3 depth 2 at 4096 from load.1 -> vector
queue qc l1 f32 12 depth 2 at 5120 from vector -> store.0
role contract
role bias

loop rows rows 0..13 step 7
  loop columns columns 0..11 step 6
    loop m 0..ext(rows) in 1..7 step 4
      loop n 0..ext(columns) in 1..6 step 3
        loop k 0..70 step 32
          ld.0 qa.pub <- a[70*rows + 70*m + k] (ext(m) <= 4: 70 -> 32) (ext(k) <= 32: 1 -> 1)
              to multicast columns as contract
          ld.1 qb.pub <- b[columns + n + 11*k] (ext(k) <= 32: 11 -> 3) (ext(n) <= 3: 1 -> 1)
              to multicast rows as contract
          mma acc.pub@l(k) += qa.pop * qb.pop (m ext(m) <= 4: 32, 0, 3) (n ext(n) <= 3: 0, 1, 1)
              (k ext(k) <= 32: 1, 3, 0) clear@f(k) fold@l(k) as contract
        end
        ld.1 qbias.pub <- bias[columns + n] (ext(n) <= 3: 1 -> 1) as bias
        vec (parallel ext(m) <= 4) (parallel ext(n) <= 3)
            in acc.pop (3, 1)
            in qbias.pop (0, 1)
            lanes { r0:f32 = input 0
                    r1:f32 = input 1
                    r2 = add r0 r1
                    -> r2 }
            out qc.pub (3, 1) as bias
        st.0 qc.pop -> c[11*rows + 11*m + columns + n] (ext(m) <= 4: 11 -> 3) (ext(n) <= 3: 1 -> 1)
            as bias
      end
    end
  end
end
halt
