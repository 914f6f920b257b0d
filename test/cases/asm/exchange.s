# Each of 3 members stores its number to a shared place, a token orders the load that reads it back; behind a barrier
# everyone gathers everyone's and stores the sum.
program exchange
grid 1 x 3
scalars 0
binding x f32 3 read
binding s f32 3 shared
binding y f32 3 write
queue q0 l1 f32 1 depth 1 at 0 from load.0 -> store.0
queue written l1 u8 0 depth 1 at 64 from store.0 -> load.1
queue q1 l1 f32 1 depth 1 at 128 from load.1 -> vector
queue q2 l1 f32 3 depth 1 at 192 from load.0 -> vector
queue q3 l1 f32 1 depth 1 at 256 from vector -> store.0
queue q4 l1 f32 1 depth 1 at 320 from vector -> vector
role exchange

loop m columns 0..3 step 1
  ld.0 q0.pub <- x[m] (1: 1 -> 1) as exchange
  st.0 q0.pop -> s[m] (1: 1 -> 1) signal (written.pub) as exchange
  ld.1 q1.pub <- s[m] (1: 1 -> 1) wait (written.pop) as exchange
  vec (parallel 1)
      in q1.pop (1)
      lanes { r0:f32 = input 0
              -> r0 }
      out q4.pub (1) as exchange
end
barrier
loop n columns 0..3 step 1
  ld.0 q2[n].pub <- s[n] (1: 1 -> 1) to collect n as exchange
  vec (reduce 3)
      in q2.pop (1)
      in q4.pop (0)
      lanes { r0:f32 = input 0
              r1:f32 = input 1
              r2 = add r0 r1
              -> r2 }
      out q3.pub (0) reduce seqsum init as exchange
  st.0 q3.pop -> y[n] (1: 1 -> 1) as exchange
end
halt
