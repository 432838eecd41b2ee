// Package losstorch computes the losses of package loss on LibTorch, for whole steps, on a CPU or GPU. Values and
// gradients equal those of package loss up to rounding. A [Loss] is a loss.Batch whose arguments are matrices on the
// host:
//
//	joint, err := losstorch.New(loss.Paper(), losstorch.Options{Device: "cuda:0"})
//	...
//	defer joint.Close()
//	options.Loss = joint // of distill.Train
//
// # How a step is computed
//
// The vectors of queries and passages are copied to the device once. Then, for each block of queries,
//
//	S = Q Pᵀ,  dS = dL/dS,  dQ = dS P,  dP += dSᵀ Q
//
// where S and the matrices derived from it take at most [Options].Budget bytes at a time. A block has whole rows if at
// least 32 rows fit. Otherwise it is cut into tiles of passages: InfoNCE's sums are merged over the tiles, and S is
// computed a second time for the gradient. ListwiseKL and MarginMSE read only the query's own list. Package loss
// computes them on the host, and their gradient is added to dS.
//
// # Precision
//
// Similarities and the products with dS are computed in float32 (see Options.Precision), never in TF32 or bfloat16,
// whose rounding is too coarse for small temperatures. Everything computed from the similarities is float64: InfoNCE's
// exponentials and sums and the softmax of lists. dS is rounded to float32 once. For equal similarities, values and
// gradients agree with package loss to a relative 1e-5 of the gradient's norm. The similarities may differ in the last
// bit, because Q Pᵀ adds in another order.
//
// In a program built without LibTorch, [New] checks its arguments and then returns retort.ErrNoLibTorch.
package losstorch
