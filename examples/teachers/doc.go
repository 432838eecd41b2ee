// Command teachers measures teachers and the students that learn from them. docs/teachers.md has its tables and explains
// them:
//
//	go run -tags libtorch ./examples/teachers -collections DIR -folder runs/teachers -student all-MiniLM-L6-v2
//	go run ./examples/teachers -folder runs/teachers -table
//
// The work is cut into cells. Each leaves one JSON file with its settings and figures, and is skipped once that is
// there. A cell that is cut off, by Ctrl-C, a kill or -limit, goes on where it was when it is called again:
//
//	dev/COLLECTION/TEACHER            a teacher over the lists of the queries that choices are made on
//	rank/COLLECTION/TEACHER           the same over the lists of the test queries
//	train-teacher/COLLECTION/START    a cross-encoder, trained from a bi-encoder on synthetic queries
//	queries/COLLECTION/MODEL          queries written by a language model
//	distil/COLLECTION/TEACHER         the student after it has learnt from that teacher
//	distil/COLLECTION/queries-KIND    the student after it has learnt from such queries
package main
