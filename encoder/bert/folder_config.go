package bert

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/bertnet"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/safetensors"
)

// The files of a model folder, beside the tokenizer's.
const (
	configJSON               = bertnet.ConfigFile
	modulesJSON              = "modules.json"
	routerJSON               = "router_config.json"
	sentenceBERTJSON         = "sentence_bert_config.json"
	sentenceTransformersJSON = "config_sentence_transformers.json"
	weightsFile              = bertnet.WeightsFile
	retortJSON               = "retort_config.json" // what sentence-transformers has no place for
)

// Config is the shape of a BERT network (Devlin et al. 2019, arXiv 1810.04805).
type Config = bertnet.Config

// sentenceBERT is sentence_bert_config.json, of which every member may be left out.
type sentenceBERT struct {
	MaxSeqLength *int `json:"max_seq_length"`
	LowerCase    bool `json:"do_lower_case"`
	Processor    *struct {
		MaxLength *int `json:"model_max_length"`
	} `json:"processor_kwargs"`
	Tokenizer *struct {
		MaxLength *int `json:"model_max_length"`
	} `json:"tokenizer_args"` // the older name of processor_kwargs
}

func readSentenceBERT(dir string) (sentenceBERT, error) {
	var j sentenceBERT
	err := jsonfile.Read(filepath.Join(dir, sentenceBERTJSON), &j)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return j, err
}

// readPooling reads the pooling from the folder of the module: pooling_mode, or a boolean for each mode as older versions
// of sentence-transformers wrote it.
func readPooling(dir string) (Pooling, error) {
	path := filepath.Join(dir, configJSON)
	var j map[string]any
	if err := jsonfile.Read(path, &j); err != nil {
		return "", err
	}
	var modes []string
	switch mode := j["pooling_mode"].(type) {
	case string:
		modes = []string{mode}
	case []any:
		for _, m := range mode {
			modes = append(modes, fmt.Sprint(m))
		}
	case nil:
		for key, name := range legacyPooling {
			if on, _ := j[key].(bool); on {
				modes = append(modes, name)
			}
		}
		if len(modes) == 0 {
			modes = []string{"mean"}
		}
	default:
		return "", fmt.Errorf("%s: pooling_mode is %v", path, mode)
	}
	slices.Sort(modes)
	if len(modes) != 1 || modes[0] != string(Mean) && modes[0] != string(CLS) {
		return "", fmt.Errorf("%s: pooling %s is not supported; mean and cls are", path, strings.Join(modes, " + "))
	}
	if include, ok := j["include_prompt"].(bool); ok && !include {
		return "", fmt.Errorf("%s: include_prompt is false, which is not supported", path)
	}
	return Pooling(modes[0]), nil
}

var legacyPooling = map[string]string{
	"pooling_mode_cls_token":            "cls",
	"pooling_mode_mean_tokens":          "mean",
	"pooling_mode_max_tokens":           "max",
	"pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
	"pooling_mode_weightedmean_tokens":  "weightedmean",
	"pooling_mode_lasttoken":            "lasttoken",
}

// module is one step of a sentence-transformers model.
type module struct {
	kind string // the class's last name: Transformer, Pooling, Normalize, ...
	dir  string
}

// modulePaths holds the modules that each role's texts go through.
type modulePaths struct{ query, document []module }

// shared says whether both roles go through the same modules.
func (r modulePaths) shared() bool { return slices.Equal(r.query, r.document) }

// readModules reads modules.json, and the routes of a Router in it. Without modules.json the folder is one Transformer,
// and nothing says how to pool.
func readModules(dir string) (modulePaths, error) {
	path := filepath.Join(dir, modulesJSON)
	var list []struct {
		Path string `json:"path"`
		Type string `json:"type"`
	}
	err := jsonfile.Read(path, &list)
	if errors.Is(err, fs.ErrNotExist) {
		alone := []module{{kind: "Transformer", dir: dir}}
		return modulePaths{query: alone, document: alone}, nil
	}
	if err != nil {
		return modulePaths{}, err
	}
	var r modulePaths
	for i, m := range list {
		at, err := moduleDir(dir, m.Path)
		if err != nil {
			return modulePaths{}, fmt.Errorf("%s: module %d: %w", path, i, err)
		}
		kind := lastName(m.Type)
		if kind == "Router" || kind == "Asym" {
			if i > 0 {
				return modulePaths{}, fmt.Errorf("%s: module %d: a Router must be the first module", path, i)
			}
			if r, err = readRouter(at); err != nil {
				return modulePaths{}, err
			}
			continue
		}
		identity, err := isIdentity(kind, at)
		if err != nil {
			return modulePaths{}, err
		}
		if !identity {
			r.query = append(r.query, module{kind, at})
			r.document = append(r.document, module{kind, at})
		}
	}
	return r, nil
}

func readRouter(dir string) (modulePaths, error) {
	path := filepath.Join(dir, routerJSON)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(dir, configJSON) // of older versions
	}
	var j struct {
		Types      map[string]string   `json:"types"`
		Structure  map[string][]string `json:"structure"`
		Parameters struct {
			Mappings map[string]string `json:"route_mappings"`
		} `json:"parameters"`
	}
	if err := jsonfile.Read(path, &j); err != nil {
		return modulePaths{}, err
	}
	if len(j.Parameters.Mappings) > 0 {
		return modulePaths{}, fmt.Errorf("%s: route_mappings are not supported; the routes query and document are", path)
	}
	route := func(name string) ([]module, error) {
		ids, ok := j.Structure[name]
		if !ok {
			return nil, fmt.Errorf("%s: structure has no route %q", path, name)
		}
		var modules []module
		for _, id := range ids {
			kind, ok := j.Types[id]
			if !ok {
				return nil, fmt.Errorf("%s: types lacks %q, which route %q names", path, id, name)
			}
			at, err := moduleDir(dir, id)
			if err != nil {
				return nil, fmt.Errorf("%s: types: %w", path, err)
			}
			identity, err := isIdentity(lastName(kind), at)
			if err != nil {
				return nil, err
			}
			if !identity {
				modules = append(modules, module{lastName(kind), at})
			}
		}
		return modules, nil
	}
	var r modulePaths
	var err error
	if r.query, err = route("query"); err != nil {
		return r, err
	}
	r.document, err = route("document")
	return r, err
}

// isIdentity says whether a module changes nothing: a Dropout, or a Dense with the identity matrix, no bias and no
// activation.
func isIdentity(kind, dir string) (bool, error) {
	if kind == "Dropout" {
		return true, nil
	}
	if kind != "Dense" {
		return false, nil
	}
	var j struct {
		Activation string `json:"activation_function"`
	}
	if err := jsonfile.Read(filepath.Join(dir, configJSON), &j); err != nil {
		return false, err
	}
	refused := fmt.Errorf("%s: a Dense module that is not the identity is not supported", dir)
	if lastName(j.Activation) != "Identity" {
		return false, refused
	}
	f, err := safetensors.Open(filepath.Join(dir, weightsFile))
	if err != nil {
		return false, err
	}
	defer f.Close()
	for _, name := range f.Names() {
		shape, values, err := f.Tensor(name)
		if err != nil {
			return false, err
		}
		isMatrix := len(shape) == 2
		if isMatrix && shape[0] != shape[1] {
			return false, refused
		}
		for i, v := range values {
			if isMatrix && i/shape[1] == i%shape[1] {
				v--
			}
			if v != 0 {
				return false, refused
			}
		}
	}
	return true, nil
}

// moduleDir returns the folder of a module, which must lie in that of the model.
func moduleDir(dir, path string) (string, error) {
	if path == "" {
		return dir, nil
	}
	if !filepath.IsLocal(path) {
		return "", fmt.Errorf("path %q leads out of the model folder", path)
	}
	return filepath.Join(dir, path), nil
}

// lastName returns what follows the last dot.
func lastName(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
