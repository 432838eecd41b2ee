// Package godoc turns the documentation of Go's own standard library into a test collection for retrieval: a corpus
// with one passage a symbol ([Build]) and two sets of judged queries ([ExampleQueries], [WrittenQueries]). It is what
// the demo of Retort specialises an encoder on, because every reader of Retort has it on disk.
//
// The corpus is made from the sources of the Go that runs on the machine, so its size changes a little from one version
// of Go to the next: state [Version] beside every figure. README.md says how the queries were written and split.
package godoc
