// Package live replaces the query encoder of a running search without failed requests: see [Encoder]. The examples
// with a server or a database use it.
package live
