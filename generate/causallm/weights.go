package causallm

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/gguf"
	"github.com/retort-ir/retort/internal/weights"
)

// weightReader reads a network's parameters by their names in a Hugging Face folder,
// "model.layers.0.self_attn.q_proj.weight".
type weightReader interface {
	// read returns the values of a parameter, row-major, and an error where its shape is another.
	read(name string, shape ...int) ([]float32, error)
	close() error
}

// folderWeights are the weights of a folder.
type folderWeights struct{ folder *weights.Folder }

func openFolderWeights(dir string) (*folderWeights, error) {
	folder, err := weights.Open(dir)
	if err != nil {
		return nil, err
	}
	return &folderWeights{folder}, nil
}

func (w *folderWeights) close() error { return w.folder.Close() }

func (w *folderWeights) read(name string, shape ...int) ([]float32, error) {
	if bare := strings.TrimPrefix(name, "model."); w.folder.DType(name) == "" && w.folder.DType(bare) != "" {
		name = bare // the base model alone, without the head
	}
	return w.folder.Read(name, shape)
}

// ggufWeights are the tensors of a GGUF file.
type ggufWeights struct {
	file   *gguf.File
	config config
}

func (w *ggufWeights) close() error { return nil } // the file belongs to who opened it

func (w *ggufWeights) read(name string, shape ...int) ([]float32, error) {
	p, err := w.open(name, shape)
	if err != nil {
		return nil, err
	}
	values := make([]float32, p.Rows*p.Columns)
	p.read(values, 0, p.Rows)
	return values, nil
}

// packed returns a matrix as it is stored.
func (w *ggufWeights) packed(name string, rows, columns int) (packedPart, error) {
	return w.open(name, []int{rows, columns})
}

func (w *ggufWeights) open(name string, shape []int) (packedPart, error) {
	stored := ggufName(name, w.config.family)
	t, ok := w.file.Tensor(stored)
	if !ok {
		return packedPart{}, fmt.Errorf("%s: no tensor %q", w.file.Path(), stored)
	}
	if !slices.Equal(t.Shape, shape) {
		return packedPart{}, fmt.Errorf("%s: tensor %q has shape %v; by the file's metadata it is %v", w.file.Path(), stored,
			t.Shape, shape)
	}
	m, err := w.file.Matrix(stored)
	if err != nil {
		return packedPart{}, err
	}
	p := packedPart{Matrix: m}
	if w.config.arch == "llama" && len(shape) == 2 &&
		(strings.HasSuffix(stored, "attn_q.weight") || strings.HasSuffix(stored, "attn_k.weight")) {
		p.headDim = w.config.headDim
	}
	return p, nil
}

// storedRow returns where llama.cpp's converter has put a row of Llama's query and key matrices: a head's row 2i is row
// i of the original, 2i+1 is row i + headDim/2, so that the two that are rotated together are side by side.
func storedRow(row, headDim int) int {
	head, r := row/headDim*headDim, row%headDim
	if r < headDim/2 {
		return head + 2*r
	}
	return head + 2*(r-headDim/2) + 1
}

var ggufNames = strings.NewReplacer(
	"model.embed_tokens", "token_embd",
	"model.norm", "output_norm",
	"lm_head", "output",
	"model.layers.", "blk.",
	"input_layernorm", "attn_norm",
	"post_attention_layernorm", "ffn_norm",
	"self_attn.q_norm", "attn_q_norm",
	"self_attn.k_norm", "attn_k_norm",
	"self_attn.q_proj", "attn_q",
	"self_attn.k_proj", "attn_k",
	"self_attn.v_proj", "attn_v",
	"self_attn.o_proj", "attn_output",
	"mlp.gate_proj", "ffn_gate",
	"mlp.up_proj", "ffn_up",
	"mlp.down_proj", "ffn_down",
)

// sandwichNames come before ggufNames where a layer has four normalisations.
var sandwichNames = strings.NewReplacer(
	"post_attention_layernorm", "post_attention_norm",
	"pre_feedforward_layernorm", "ffn_norm",
	"post_feedforward_layernorm", "post_ffw_norm",
)

func ggufName(name string, f family) string {
	if f.sandwich {
		name = sandwichNames.Replace(name)
	}
	return ggufNames.Replace(name)
}

// isFolder says whether path is a folder that could hold a model.
func isFolder(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return info.IsDir(), nil
}
