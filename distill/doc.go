// Package distill trains a small encoder, the student, to reproduce a teacher's scores over lists of passages: listwise
// distillation (Tamber et al. 2025, arXiv 2502.19712). The student is any encoder.Trainable and the loss any loss.Loss;
// the package itself does not need LibTorch.
//
// [Train] takes the student, a corpus and scored lists. After it returns, the student has the best weights of the run.
// The initial weights are a candidate too and can win.
//
//	opts := distill.DefaultOptions()
//	result, err := distill.Train(ctx, student, corpus, lists, opts)
//
// # Two ways to train
//
// With [Both], queries and passages share the weights, and training changes the vectors of both, as in the paper. With
// [QueryOnly], Train splits the student into two towers and trains only the query tower. Passage vectors do not change,
// so an existing index stays valid. They are computed once, and a step encodes only its queries.
//
// # A step
//
// A step takes QueriesPerStep lists and computes the gradient of one large batch in the memory of a small batch
// (GradCache: Gao et al. 2021, arXiv 2101.06983):
//
//  1. The distinct passages of the lists are sorted by length, partitioned into micro-batches by a token budget and
//     encoded. Micro-batches keep their graphs while the graphs fit Memory.GraphBudget.
//  2. For each block of queries Q and all passages P: S = Q Pᵀ, the loss of each row with its gradient dS, then dQ +=
//     dS P and dP += dSᵀ Q. The whole matrix S is never in memory.
//  3. Each micro-batch's rows of dQ or dP are propagated back through its graph. Micro-batches without a graph are
//     encoded again first.
//  4. The gradient is clipped, and AdamW updates the weights. The learning rate rises linearly from 0 and then falls
//     linearly.
//
// The loss of a step is the sum of the weighted losses of its rows, divided by the number of rows. [CheckGradient]
// compares the gradient with the gradient of one plain batch and with central differences.
//
// While a step is computed, the texts of the next step are collected and tokenised. Each text is tokenised once per
// run.
//
// The trainer does not accumulate gradients over several steps. Raise QueriesPerStep instead: only the vectors of a
// step grow with it, and every query has the passages of the whole step as negatives. It does not checkpoint
// activations per layer either: graphs take at most GraphBudget plus one micro-batch, and a micro-batch can be as small
// as one text.
//
// # Nested widths
//
// Options.Widths trains vectors that can be truncated (Matryoshka representation learning: Kusupati et al. 2022, arXiv
// 2205.13147). The second stage of a step then runs once for each width w, on the leading w values of the vectors,
// L2-normalised. Losses and gradients are summed. The student encodes each text once, as without widths. It equals
// MatryoshkaLoss of sentence-transformers with weights of 1.
//
// # Several workers
//
// With Options.Group several workers train one student, and each worker has a copy of it. Workers are goroutines of one
// process ([NewLocalGroups]), or processes on one or several machines (package distill/gloo). The workers divide the
// texts of a step by tokens, exchange the vectors, so that every query has the passages of all workers as negatives,
// and sum the gradients. The result equals the result of one worker up to rounding. Each worker computes the loss of
// the whole step. If a worker fails or is lost, the run ends on all workers ([ErrWorkerLost]), and rank 0 saves a
// checkpoint of the finished steps.
//
// # Lists
//
// The trainer does not scale a list's scores; calibrate them with package teacher. The positive of InfoNCE is the
// passage with the highest teacher score. The text of an extractive query ([retort.Query.Extractive]) is copied from
// its source, so a lexical teacher ranks the source first regardless of its relevance. Such a query has no positive,
// and its source is not a negative. mine.ListOptions.KeepSource decides whether a list contains the source.
//
// # Choosing the best
//
// By default Train holds out a tenth of the lists, split by source passage. Before the first step and after each epoch,
// or every EvalSteps steps, the student ranks all passages of the held-out lists for each held-out query. The best
// student has the highest nDCG@10, with the teacher's scores of its ten best passages as gains. Training stops after
// Patience evaluations in a row without a better student. This measures agreement with the teacher, which can mislead;
// see Selection.DevFraction. Selection.ByLoss selects the loss on the held-out lists instead, and Selection.Evaluate
// replaces the measure.
//
// Selection.Interpolate also evaluates weights between the initial and the best student. [Retention] guards against
// forgetting: it measures the student on data that it is not trained for. If the score falls too far, the student is
// interpolated with the initial weights, or training ends. The error of a failed
// step names the step and its queries.
//
// # Watching a run
//
// Train calls Options.Events at every stage, step, evaluation, checkpoint and warning. [retort.LogEvents] writes them
// to a logger. Package distill/metrics writes steps and evaluations as CSV and for TensorBoard, and sums the time of
// each phase.
//
// # Is there anything to learn?
//
// A student cannot become better than its targets. Package distill/pipeline compares the targets with the student
// before training.
//
// # Resuming
//
// With Checkpoints.Dir a run writes checkpoints, and the same call to Train resumes from the last checkpoint. When the
// context ends no step is lost; after a kill at most the steps since the last checkpoint are. On one machine the result
// equals the result of an uninterrupted run to the bit. A folder that belongs to other lists, settings or another
// student is an error that names the difference. The folder keeps the two latest checkpoints: if the last one is
// damaged, training resumes from the one before and calls Events.Warning.
//
// Package distill/pipeline makes every stage of a run resumable.
package distill
