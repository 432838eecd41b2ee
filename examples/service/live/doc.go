// Package live replaces the query encoder of a running search without failed requests: see [Encoder]. The programs
// examples/service and examples/pgvector use it.
package live
