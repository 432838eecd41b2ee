// Package loss defines the training losses: functions of one query's similarities to all passages of a training step,
// with their gradients.
//
// Write s for the similarities of a [Row] (sim, one a column), L for its List, t for its Teacher scores, p for its
// Positive and c for its Count. Then
//
//	ListwiseKL  sum_{i in L} P_i (log P_i - log Q_i),  P = softmax(t / tau_t),  Q = softmax(s_L / tau_s)
//	InfoNCE     -log( exp(s_p/tau) / (exp(s_p/tau) + sum_{j in N} c_j exp(s_j/tau)) ),  N = all columns but p and the masked
//	MarginMSE   mean_{i in L, i != p} ( (a s_p - a s_i) - (t_p - t_i) )^2
//	Sum         w_1 loss_1 + w_2 loss_2 + ...
//
// The documentation of each type gives the gradient dL/ds. [Paper] is the weighted sum of ListwiseKL and InfoNCE that
// the method was published with. Package losstorch computes all of them on LibTorch for whole steps.
//
// To write your own loss see the example of [Loss]; package losstest checks its gradient and the rest of the contract.
// The losses of this package are small values that are safe for concurrent use. They are numerically stable
// (log-sum-exp around the largest term) and compute sums and exponentials in float64.
//
// References:
//   - InfoNCE: van den Oord et al. 2018, arXiv 1807.03748, equation 4.
//   - The listwise KL loss, the joint loss and its constants: Tamber et al. 2025, arXiv 2502.19712. Softmax of scores
//     as a distribution over a list: Cao et al. 2007 (ListNet), ICML 2007.
//   - MarginMSE: Hofstätter et al. 2020, arXiv 2010.02666.
package loss
