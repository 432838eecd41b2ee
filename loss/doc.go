// Package loss holds what a student is trained to make small: functions of one query's similarities to all passages of
// the step, with their gradients.
//
// Write s for the similarities of a [Row] (sim, one a column), L for its List, t for its Teacher scores, p for its
// Positive and c for its Count. Then
//
//	ListwiseKL  sum_{i in L} P_i (log P_i - log Q_i),  P = softmax(t / tau_t),  Q = softmax(s_L / tau_s)
//	InfoNCE     -log( exp(s_p/tau) / (exp(s_p/tau) + sum_{j in N} c_j exp(s_j/tau)) ),  N = all columns but p and the masked
//	MarginMSE   mean_{i in L, i != p} ( (a s_p - a s_i) - (t_p - t_i) )^2
//	Sum         w_1 loss_1 + w_2 loss_2 + ...
//
// and dL/ds is (Q - P) / tau_s on the list; (softmax - onehot(p)) / tau; and -2a/(n-1) times each pair's difference on i,
// their negated sum on p. [Paper] is the weighted sum of the first two that the method was published with.
// Package losstorch computes them on LibTorch, for whole steps.
//
// A loss of your own is ten lines (see the example of [Loss]); package losstest checks its gradient and the rest of the
// contract. Every loss here is a small value, safe for concurrent use, and allocates nothing a row once warm. Each is
// computed stably (log-sum-exp around the largest term), with sums and exponentials in float64.
//
// References:
//   - InfoNCE: van den Oord et al. 2018, arXiv 1807.03748, equation 4.
//   - The listwise KL loss, the joint loss and its constants: Tamber et al. 2025, arXiv 2502.19712. Softmax of scores as
//     a distribution over a list: Cao et al. 2007 (ListNet), ICML 2007.
//   - MarginMSE: Hofstätter et al. 2020, arXiv 2010.02666.
package loss
