// Package live replaces the query encoder of a running search without a request failing: [Encoder]. The programs
// examples/service and examples/pgvector share it.
package live
