// Package live makes the query encoder of a running search better while it answers. [Encoder] is a query encoder that is
// replaced without a request failing, and [Job] trains the query tower of a second copy of the model, so that the index of
// passage vectors stays as it is. The programs examples/service and examples/pgvector share it.
package live
