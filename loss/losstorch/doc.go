// Package losstorch computes the losses of package loss on LibTorch, for whole steps and on a GPU where there is one: the
// same values and gradients as the Go rows. A [Loss] is a loss.Batch,
// host matrices in and out, so whoever trains picks it and nothing else knows of LibTorch:
//
//	joint, err := losstorch.New(loss.Paper(), losstorch.Options{Device: "cuda:0"})
//	...
//	defer joint.Close()
//	options.Loss = joint // of distill.Train
//
// # How a step is computed
//
// Queries and passages are put on the device once. Then, block of queries after block of queries,
//
//	S = Q Pᵀ,  dS = dL/dS,  dQ = dS P,  dP += dSᵀ Q
//
// with no more of S and of what is derived from it at a time than [Options].Budget: whole rows where at least 32 of them
// fit, else tiles of passages, over which InfoNCE's sums are merged and S is computed a second time for its gradient.
// What reads the query's own list only (ListwiseKL, MarginMSE) is a few numbers a query: the Go rows compute it, and its
// gradient is added to dS.
//
// # Precision
//
// Similarities and the products with dS are computed in float32 as in Go (see Options.Precision), never in TF32 or
// bfloat16: a similarity of 0.5 in bfloat16 is known to 0.002, which at InfoNCE's temperature of 0.01 is a factor of 1.2.
// From the similarities on everything is float64: InfoNCE's exponentials, their sums around the largest term, the softmax
// of lists; dS is rounded to float32 once. Given the same similarities, values and gradients agree with the Go rows to a
// relative 1e-5 (of the gradient's norm). The similarities themselves may differ in the last bit, since float32's sums in
// Q Pᵀ run in another order: 6e-8, which at a temperature of 0.01 is 6e-6 of a term.
//
// In a program built without LibTorch, [New] returns retort.ErrNoLibTorch once it has looked at its arguments.
package losstorch
