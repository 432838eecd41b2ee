package transformer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
)

// A model folder can be looked at without LibTorch.
func ExampleReadFolder() {
	folder, err := transformer.ReadFolder("testdata/tiny", transformer.Options{QueryTokens: 12})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("towers shared:", folder.Shared())
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		side := folder.Side(role)
		fmt.Printf("%s: prompt %q, at most %d tokens, %s pooling\n", role, side.Prompt, side.Tokens, side.Tower.Pooling)
	}
	// Output:
	// towers shared: true
	// query: prompt "query: ", at most 12 tokens, mean pooling
	// passage: prompt "passage: ", at most 24 tokens, mean pooling
}

// A model is exported without LibTorch. Programs on onnxruntime read the folder, and so does sentence-transformers with
// backend="onnx".
func ExampleFolder_ExportONNX() {
	folder, err := transformer.ReadFolder("testdata/tiny", transformer.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	parent, err := os.MkdirTemp("", "export")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(parent)
	dir := filepath.Join(parent, "tiny-onnx")
	if err := folder.ExportONNX(context.Background(), dir); err != nil {
		fmt.Println(err)
		return
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.onnx"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, file := range files {
		name, _ := filepath.Rel(dir, file)
		fmt.Println(filepath.ToSlash(name))
	}
	// Output: onnx/model.onnx
}
