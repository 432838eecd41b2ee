package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/npy"
	"github.com/retort-ir/retort/internal/progress"
)

var embedCommand = command{
	name:    "embed",
	summary: "encode queries or passages to vectors",
	usage: `-model DIR -role query|passage FILE.jsonl -out vectors.npy [flags]

Writes one L2-normalised vector a record, in the file's order, as a NumPy array of float32 [records x dimensions]. Of a
passage it encodes title and text, joined by a blank.

  FILE.jsonl            JSON Lines with _id, title, text (passages) or _id, text (queries)
  -role R               query or passage: which prompt, length limit and tower the model uses
  -out FILE.npy         where the vectors go` + modelUsage + `

example:
  retort embed -model ./all-MiniLM-L6-v2 -role passage corpus.jsonl -out corpus.npy
  python3 -c 'import numpy; print(numpy.load("corpus.npy").shape)'
`,
	run: runEmbed,
}

// embedBlock is how many texts are encoded between two lines of progress: enough for an encoder to group those of like
// length (2 to 5% of padding on passages of 100 to 250 words).
const embedBlock = 256

func runEmbed(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("embed", flag.ContinueOnError)
	roleName := flags.String("role", "", "")
	out := flags.String("out", "", "")
	var model modelFlags
	model.add(flags)
	values, err := parseArgs(flags, args, "FILE.jsonl")
	if err != nil {
		return err
	}
	if err := required(flags, "role", "out"); err != nil {
		return err
	}
	role, err := parseRole(*roleName)
	if err != nil {
		return err
	}
	if err := model.check(); err != nil {
		return err
	}
	if err := checkWritable(*out); err != nil {
		return err
	}
	texts, err := loadTexts(ctx, role, values[0])
	if err != nil {
		return err
	}
	m, err := model.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := embed(ctx, m, role, texts, *out, progress.New(stderr)); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: %d x %d\n", *out, len(texts), m.Dim())
	return nil
}

func parseRole(name string) (encoder.Role, error) {
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		if role.String() == name {
			return role, nil
		}
	}
	return 0, oneOf("-role", name, encoder.Query.String(), encoder.Passage.String())
}

// loadTexts returns what is encoded of every record.
func loadTexts(ctx context.Context, role encoder.Role, path string) ([]string, error) {
	var texts []string
	if role == encoder.Query {
		queries, err := loadQueries(ctx, path)
		for _, q := range queries {
			texts = append(texts, q.Text)
		}
		return texts, err
	}
	corpus, err := loadCorpus(ctx, path)
	if err != nil {
		return nil, err
	}
	for i := range corpus.Len() {
		p, err := corpus.At(i)
		if err != nil {
			return nil, err
		}
		texts = append(texts, p.Content())
	}
	return texts, nil
}

// embed writes the vectors to a file, which appears whole or not at all.
func embed(ctx context.Context, enc encoder.Encoder, role encoder.Role, texts []string, path string, p *progress.Progress) error {
	stage := p.Stage(map[encoder.Role]string{encoder.Query: "encode queries", encoder.Passage: "encode passages"}[role], len(texts))
	defer stage.Done()
	return atomicfile.Write(path, func(w io.Writer) error {
		file, err := npy.NewWriter(w, len(texts), enc.Dim())
		if err != nil {
			return err
		}
		for start := 0; start < len(texts); start += embedBlock {
			block := texts[start:min(start+embedBlock, len(texts))]
			vectors, err := enc.Encode(ctx, role, block)
			if err != nil {
				return err
			}
			if err := file.Append(vectors); err != nil {
				return err
			}
			stage.Set(start + len(block))
		}
		return file.Close()
	})
}
