// Command hugot encodes texts in pure Go with a model of Retort: with hugot, whose backend GoMLX computes networks in
// ONNX. Neither LibTorch nor onnxruntime is needed.
//
//	retort export -onnx -tower query -model runs/mine/model -out query-encoder
//	go -C examples/hugot run . -model ../../query-encoder "how do I read a file line by line"
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/knights-analytics/hugot"
	"github.com/knights-analytics/hugot/pipelines"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
)

func main() {
	dir := flag.String("model", "", "a folder that retort export -onnx wrote, with one tower")
	flag.Parse()
	vectors, err := encode(*dir, encoder.Query, flag.Args())
	if err != nil {
		log.Fatal(err)
	}
	for i, v := range vectors {
		fmt.Printf("%q: %d values, %.4f ...\n", flag.Arg(i), len(v), v[:4])
	}
}

// encode returns one vector per text, L2-normalised, with the prompt and the length limit that the folder has for the
// role. hugot 0.6.1 reads WordPiece tokenizers, those of BERT and its kin, as Retort does; others give other tokens.
func encode(dir string, role encoder.Role, texts []string) (vectors [][]float32, err error) {
	folder, err := transformer.ReadFolder(dir, transformer.Options{})
	if err != nil {
		return nil, err
	}
	side := folder.Side(role)
	flat, err := os.MkdirTemp("", "hugot")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(flat)
	if err := lay(flat, side); err != nil {
		return nil, err
	}
	session, err := hugot.NewGoSession()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, session.Destroy()) }()
	pipeline, err := hugot.NewPipeline(session, hugot.FeatureExtractionConfig{
		Name: "encoder", ModelPath: flat, OnnxFilename: "model.onnx",
		Options: []hugot.FeatureExtractionOption{pipelines.WithOutputName("sentence_embedding")},
	})
	if err != nil {
		return nil, err
	}
	prompted := make([]string, len(texts))
	for i, text := range texts {
		prompted[i] = side.Prompt + text
	}
	out, err := pipeline.RunPipeline(prompted)
	if err != nil {
		return nil, err
	}
	return out.Embeddings, nil
}

// lay makes a folder as hugot 0.6.1 reads it: with the network beside the tokenizer, and with a configuration of few
// keys, one of which is the length limit.
func lay(flat string, side *transformer.Side) error {
	dir, err := filepath.Abs(side.Tower.Dir)
	if err != nil {
		return err
	}
	for _, name := range []string{"tokenizer.json", "onnx/model.onnx"} {
		if err := os.Symlink(filepath.Join(dir, name), filepath.Join(flat, filepath.Base(name))); err != nil {
			return err
		}
	}
	config := fmt.Sprintf(`{"max_position_embeddings": %d}`, side.Tokens)
	return os.WriteFile(filepath.Join(flat, "config.json"), []byte(config), 0o644)
}
