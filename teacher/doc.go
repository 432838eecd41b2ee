// Package teacher scores the passages of a list for a query. The scores are the targets that a student learns from.
//
// A [Teacher] scores how well passages answer a query. [Func] turns a function into a Teacher, [FromEncoder] a
// bi-encoder, such as the initial student. [NewEnsemble] fuses several teachers; the sum of the z-scores of BM25 and
// the student needs no further model. [Cached] keeps a teacher's scores in a [Store] on disk, so that an interrupted or
// repeated run never pays for a score twice. [Score] calls a teacher and checks the result. [ScoreAll] scores many
// lists concurrently, in batches if the teacher is a [BatchTeacher].
//
// An ensemble fuses z-scores, or reciprocal ranks ([NewRankFusion]). [FitWeights] fits the weights of its members on
// judged lists of a dev split, and keeps equal weights if the gain is not significant. The agreement of the members
// (Scored.Agreement) is a measure of confidence in a list.
//
// Teachers score on different scales. Calibration converts scores to the scale that a loss expects: [MinMax] and
// [PercentileMinMax] scale to [0,1], and [OnStudentScale] adds the teacher's corrections to the student's own
// similarities. [PercentileRange] reports the scaling.
package teacher
