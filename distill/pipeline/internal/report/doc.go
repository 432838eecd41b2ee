// Package report writes what a run did as one page: RUN/report.html, a single file that needs no network and runs no
// script. It answers, in this order, whether the student found more than before, on which queries, how training went,
// what became of the queries, how the scores look, what it cost, and from what exactly it came.
//
// [Data] is all of the page's content. [Save] writes it into a run folder, as report.json and as report.html; [Load] reads
// report.json back and [Write] renders it, so that a page can be made again without the run. Equal data give an equal
// page. What the data lack, the page says in words ([Data.Missing]) where the section would be.
//
// [Judged] makes a query set of four evaluations, and [Histogram] counts scores as they come, so that neither needs more
// memory than the queries and the bins take.
package report
