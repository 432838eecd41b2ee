// Command widths measures what training at nested widths (pipeline.Recipe.Widths) brings to truncated vectors: it
// trains a model on a collection's passages at its whole width only and at all widths, and ranks the collection's test
// queries by the leading values of the vectors. "make widths" runs it.
//
// Nothing is chosen on the test queries, or at all: each student is that of the last step. The table in Markdown goes to
// standard output, or between two comments of a document (-docs).
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/mine"
)

type experiment struct {
	model, collection, folder, docs string
	widths                          []int
	queries, lists, tokens          int
	log                             io.Writer
	judged                          *eval.Collection
	passages                        *mine.Dense // of the untouched model
}

func main() {
	b := experiment{log: os.Stderr}
	widths := flag.String("widths", "384,256,128,64,32", "widths, the largest first")
	flag.StringVar(&b.model, "model", "", "model folder")
	flag.StringVar(&b.collection, "collection", "", "folder in BEIR layout with qrels/test.tsv")
	flag.StringVar(&b.folder, "folder", "runs/widths", "folder of the runs; a run that is over is not made again")
	flag.StringVar(&b.docs, "docs", "", "document to write the table into")
	flag.IntVar(&b.queries, "max-queries", 3000, "generated queries")
	flag.IntVar(&b.lists, "max-lists", 500, "lists where both towers learn")
	flag.IntVar(&b.tokens, "tokens", 128, "tokens of a passage")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx, *widths); err != nil {
		fmt.Fprintln(os.Stderr, "widths:", err)
		os.Exit(1)
	}
}

func (b *experiment) run(ctx context.Context, widths string) error {
	for text := range strings.SplitSeq(widths, ",") {
		w, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("-widths: %w", err)
		}
		b.widths = append(b.widths, w)
	}
	var err error
	if b.judged, err = eval.LoadCollection(b.collection, "test"); err != nil {
		return err
	}
	before, err := b.untouched(ctx)
	if err != nil {
		return err
	}
	defer b.passages.Close()
	var table bytes.Buffer
	fmt.Fprintln(&table, "| towers | width | untouched | whole width only | nested widths | nested - untouched | nested - whole only |")
	fmt.Fprintln(&table, "|---|---|---|---|---|---|---|")
	for _, towers := range []distill.Towers{distill.QueryOnly, distill.Both} {
		plain, err := b.trained(ctx, towers, nil)
		if err != nil {
			return err
		}
		nested, err := b.trained(ctx, towers, b.widths)
		if err != nil {
			return err
		}
		if err := b.rows(ctx, &table, towers, before, plain, nested); err != nil {
			return err
		}
	}
	return b.print(table.Bytes())
}

// rows writes nDCG@10 at each width, with paired differences.
func (b *experiment) rows(ctx context.Context, w io.Writer, towers distill.Towers, before, plain, nested []*eval.Report) error {
	m := eval.NDCG(10)
	for i, width := range b.widths {
		gain, err := eval.Compare(ctx, before[i], nested[i], m, 1)
		if err != nil {
			return err
		}
		more, err := eval.Compare(ctx, plain[i], nested[i], m, 1)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "| %v | %d | %.4f | %.4f | %.4f | %s | %s |\n", towers, width, before[i].Mean(m), plain[i].Mean(m),
			nested[i].Mean(m), difference(gain), difference(more))
	}
	return nil
}

func difference(c eval.Comparison) string {
	return fmt.Sprintf("%+.4f (%+.4f to %+.4f), p %.2g", c.Delta, c.Low, c.High, c.P)
}

func (b *experiment) open(ctx context.Context) (*transformer.Model, error) {
	return transformer.Open(ctx, b.model, transformer.Options{PassageTokens: b.tokens})
}

// untouched returns the reports of the model before training, by width. The vectors of its passages are in a file.
func (b *experiment) untouched(ctx context.Context) (_ []*eval.Report, err error) {
	student, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, student.Close()) }()
	vectors := filepath.Join(b.folder, "untouched.npy")
	if _, err := os.Stat(vectors); err != nil {
		if err := os.MkdirAll(b.folder, 0o755); err != nil {
			return nil, err
		}
		if err := mine.WriteVectors(ctx, student, b.judged.Corpus, vectors, nil); err != nil {
			return nil, err
		}
	}
	if b.passages, err = mine.OpenDense(student, vectors); err != nil {
		return nil, err
	}
	return b.measure(ctx, student, b.passages.Vectors())
}

// trained returns the reports of the student after the last step, by width.
func (b *experiment) trained(ctx context.Context, towers distill.Towers, widths []int) (_ []*eval.Report, err error) {
	student, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, student.Close()) }()
	name := fmt.Sprintf("%v-%d", towers, len(widths))
	if widths != nil {
		if err := b.begin(name, fmt.Sprintf("%v-0", towers)); err != nil {
			return nil, err
		}
	}
	recipe := pipeline.Recipe{
		Folder: filepath.Join(b.folder, name), Towers: towers, Widths: widths, KeepLast: true, Vectors: b.passages.Vectors(),
		TestQueries: b.judged.Queries, Mining: pipeline.DefaultMining(towers), TeacherCheck: pipeline.TeacherCheck{Queries: -1},
	}
	recipe.Mining.MaxQueries = b.queries
	if towers == distill.Both {
		recipe.Mining.MaxLists = b.lists
	}
	var steps int
	var took, similarity time.Duration
	recipe.Events.Step = func(s retort.Step) {
		steps, took, similarity = steps+1, took+s.Took, similarity+s.Similarity
	}
	if _, err := pipeline.Specialise(ctx, student, b.judged.Corpus, recipe); err != nil {
		return nil, err
	}
	if steps > 0 {
		fmt.Fprintf(b.log, "%s: %d steps, %.3f s each, of which %.3f s are similarities and losses\n", name, steps,
			took.Seconds()/float64(steps), similarity.Seconds()/float64(steps))
	}
	if towers == distill.QueryOnly {
		return b.measure(ctx, student, b.passages.Vectors())
	}
	dense, err := mine.NewDense(ctx, student, b.judged.Corpus, nil)
	if err != nil {
		return nil, err
	}
	return b.measure(ctx, student, dense.Vectors())
}

// begin copies the finished run other, unless the run name exists: queries, lists and scores do not depend on widths.
func (b *experiment) begin(name, other string) error {
	run := filepath.Join(b.folder, name)
	if _, err := os.Stat(run); err == nil {
		return nil
	}
	part := run + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.CopyFS(part, os.DirFS(filepath.Join(b.folder, other))); err != nil {
		return err
	}
	return os.Rename(part, run)
}

// measure ranks the test queries at each width of the vectors.
func (b *experiment) measure(ctx context.Context, student *transformer.Model, passages blas32.General) ([]*eval.Report, error) {
	dense, err := mine.NewDenseVectors(student, passages)
	if err != nil {
		return nil, err
	}
	queries, err := dense.EncodeQueries(ctx, b.judged.Queries)
	if err != nil {
		return nil, err
	}
	var reports []*eval.Report
	for _, width := range b.widths {
		rankings, err := mine.TopK(ctx, leading(queries, width), leading(passages, width), 100)
		if err != nil {
			return nil, err
		}
		report, err := b.report(rankings)
		if err != nil {
			return nil, err
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// leading returns the first width values of each row, L2-normalised: truncate_dim of sentence-transformers.
func leading(m blas32.General, width int) blas32.General {
	cut := blas32.General{Rows: m.Rows, Cols: width, Stride: width, Data: make([]float32, m.Rows*width)}
	for i := range m.Rows {
		row := blas32.Vector{N: width, Inc: 1, Data: cut.Data[i*width:]}
		copy(row.Data, m.Data[i*m.Stride:i*m.Stride+width])
		if norm := blas32.Nrm2(row); norm > 0 {
			blas32.Scal(1/norm, row)
		}
	}
	return cut
}

func (b *experiment) report(rankings [][]mine.Hit) (*eval.Report, error) {
	run := eval.Run{}
	for i, q := range b.judged.Queries {
		for _, h := range rankings[i] {
			p, err := b.judged.Corpus.At(h.Index)
			if err != nil {
				return nil, err
			}
			if !b.judged.IsItself(q, p.ID) {
				run[q.ID] = append(run[q.ID], eval.Hit{ID: p.ID, Score: h.Score})
			}
		}
	}
	return eval.Evaluate(b.judged.Qrels, run, eval.NDCG(10))
}

// The comments in a document that the table stands between.
const begin, end = "<!-- widths:begin -->\n", "<!-- widths:end -->"

func (b *experiment) print(table []byte) error {
	if b.docs == "" {
		_, err := os.Stdout.Write(table)
		return err
	}
	text, err := os.ReadFile(b.docs)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no lines %q and %q", b.docs, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(b.docs, []byte(head+begin+"\n"+string(table)+"\n"+end+tail), 0o644)
}
