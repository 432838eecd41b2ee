package transformer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelcard"
)

// writeCard copies the card if the folder is an unchanged copy. Otherwise, or after Describe, it writes a new card.
func (w folderWriter) writeCard(ctx context.Context, dir string) error {
	source := filepath.Join(w.Dir, modelcard.File)
	if w.card == nil && w.only == nil && !w.onnx && len(w.trained) == 0 {
		if info, err := os.Stat(source); err == nil && info.Mode().IsRegular() {
			return atomicfile.Copy(ctx, filepath.Join(dir, modelcard.File), source)
		}
	}
	return atomicfile.WriteBytes(filepath.Join(dir, modelcard.File), w.page().Render())
}

// page is the model card.
func (w folderWriter) page() modelcard.Page {
	base := w.baseModel()
	p := modelcard.Page{
		BaseModel: base, Pipeline: "sentence-similarity",
		Tags: []string{"sentence-transformers", "sentence-similarity", "feature-extraction", "dense", "retort"},
	}
	p.Title, p.Summary = w.cardTitle(base)
	var card encoder.Card
	if w.card != nil {
		card = *w.card
	}
	if card.Verdict != "" {
		p.Summary += " " + card.Verdict
	}
	p.Sections = []modelcard.Section{w.cardModel(base, card.Widths)}
	if len(card.Method) > 0 || card.Passages > 0 {
		p.Sections = append(p.Sections, cardTraining(card))
	}
	if len(card.Results) > 0 {
		p.Sections = append(p.Sections, cardResults(card.Results))
	}
	python := pythonUse
	if w.only != nil {
		python = pythonUseOne
	}
	golang := goUse
	if w.onnx {
		python, golang = inONNX.Replace(python), inONNX.Replace(golang)
	}
	p.Sections = append(p.Sections,
		modelcard.Section{Heading: "Use in Python, with sentence-transformers 5 or newer", Code: python, Lang: "python"},
		modelcard.Section{Heading: "Use in Go, with Retort", Code: golang, Lang: "go"})
	if !w.Shared() {
		p.Sections = append(p.Sections,
			modelcard.Section{Heading: "Use in tools that know no Router", Code: exportUse, Lang: "sh"})
	}
	return p
}

func (w folderWriter) cardTitle(base string) (title, summary string) {
	switch {
	case w.only != nil:
		return fmt.Sprintf("%s, the tower for a %s", base, *w.only),
			fmt.Sprintf("One tower of a model of Retort, which encodes each %s. The weights are unchanged.", *w.only)
	case len(w.trained) == 0:
		return base + ", saved by Retort",
			fmt.Sprintf("Saved from the folder %s with unchanged weights.", modelcard.NameOf(w.Dir))
	}
	return base + ", specialised by Retort",
		fmt.Sprintf("A sentence-transformers model that encodes queries and passages as vectors of %d dimensions, "+
			"specialised for searching one corpus.", w.Dim())
}

func (w folderWriter) cardModel(base string, widths []int) modelcard.Section {
	facts := [][2]string{{"Base model", base}}
	add := func(name, value string) { facts = append(facts, [2]string{name, value}) }
	switch {
	case w.only != nil:
		add("Towers", fmt.Sprintf("one, for a %s", *w.only))
	case w.Shared():
		add("Towers", "one, for queries and passages")
	default:
		add("Towers", "two, a sentence-transformers Router with the routes query and document")
	}
	add("Dimensions", fmt.Sprint(w.Dim()))
	if len(widths) > 0 {
		add("Trained at dimensions", fmt.Sprintf("%s: vectors may be truncated to any of these and normalised again "+
			"(truncate_dim of SentenceTransformer)", strings.Trim(strings.ReplaceAll(fmt.Sprint(widths), " ", ", "), "[]")))
	}
	add("Similarity", "cosine")
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		if w.only != nil && role != *w.only {
			continue
		}
		side := w.Side(role)
		text := fmt.Sprintf("at most %d tokens, no prompt", side.Tokens)
		if side.Prompt != "" {
			text = fmt.Sprintf("at most %d tokens, after the prompt %q", side.Tokens, side.Prompt)
		}
		add(strings.ToUpper(role.String()[:1])+role.String()[1:]+" text", text)
	}
	return modelcard.Section{
		Heading: "Model", Facts: facts,
		Text: "The licence of the base model also applies to this model.",
	}
}

func cardTraining(card encoder.Card) modelcard.Section {
	s := modelcard.Section{
		Heading: "Training",
		Text: "Listwise distillation with synthetic queries, after Tamber et al. 2025 (arXiv 2502.19712): " +
			"the model learnt to rank lists of passages like a teacher.",
	}
	if card.Passages > 0 {
		s.Facts = append(s.Facts, [2]string{"Corpus", plural(card.Passages, "passage")})
	}
	for _, f := range card.Method {
		s.Facts = append(s.Facts, [2]string{f.Name, f.Value})
	}
	return s
}

func cardResults(results []encoder.Result) modelcard.Section {
	s := modelcard.Section{
		Heading: "Results",
		Table:   [][]string{{"measure", "queries", "after - before", "95% interval", "p"}},
	}
	for _, r := range results {
		s.Table = append(s.Table, []string{
			r.Measure, fmt.Sprint(r.Queries), fmt.Sprintf("%+.4f", r.Delta),
			fmt.Sprintf("%+.4f to %+.4f", r.Low, r.High), fmt.Sprintf("%.2g", r.P),
		})
	}
	return s
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// baseModel returns the model's name before training: from the card, from an earlier Save, from the Hugging Face Hub's
// cache, or from the folder's name, in this order.
func (w folderWriter) baseModel() string {
	if w.card != nil && w.card.BaseModel != "" {
		return w.card.BaseModel
	}
	var own retortConfig
	if err := jsonfile.Read(filepath.Join(w.Dir, retortJSON), &own); err == nil && own.BaseModel != "" {
		return own.BaseModel
	}
	return modelcard.NameOf(w.Dir)
}

// inONNX makes an example of the card one for a folder that ExportONNX wrote.
var inONNX = strings.NewReplacer(`folder")`, `folder", backend="onnx")`, "transformer.Open(", "onnx.Open(",
	"transformer.Options{}", "onnx.Options{}")

// The examples of the card do not reveal paths of this machine.
const (
	pythonUse = `from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
queries = model.encode_query(["how do I ..."])
passages = model.encode_document(["a passage", "another one"])
print(model.similarity(queries, passages))`

	pythonUseOne = `from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
vectors = model.encode(["a text", "another one"])`

	goUse = `model, err := transformer.Open(ctx, "path/to/this/folder", transformer.Options{})
if err != nil {
	return err
}
defer model.Close()
queries, err := model.Encode(ctx, encoder.Query, []string{"how do I ..."})
if err != nil {
	return err
}
passages, err := model.Encode(ctx, encoder.Passage, []string{"a passage", "another one"})`

	exportUse = `retort export -tower query -model path/to/this/folder -out path/to/query-encoder
retort export -tower passage -model path/to/this/folder -out path/to/passage-encoder`
)
