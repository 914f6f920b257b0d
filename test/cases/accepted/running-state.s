# A state that each trip hands to the next: nobody reads what the last one leaves, so it is not published.
program running
grid 1 x 1
scalars 1
binding x f32 64 read
binding y f32 64 write
queue qS l1 f32 4 depth 2 at 0 from vector -> vector
queue qX l1 f32 4 depth 2 at 64 from load.0 -> vector
queue qY l1 f32 4 depth 1 at 128 from vector -> store.0
role r

vec (parallel 4) lanes { r0 = constF 0 -> r0 } out qS.pub (1) as r
loop t 0..$0 in 1..16 step 1
  ld.0 qX.pub <- x[4*t] (4: 1 -> 1) as r
  vec (parallel 4) in qS.pop (1) in qX.pop (1) lanes { r0:f32 = input 0 r1:f32 = input 1 r2 = add r0 r1 -> r2, r2 }
      out qS.pub@!l(t) (1) out qY.pub (1) as r
  st.0 qY.pop -> y[4*t] (4: 1 -> 1) as r
end
halt
