package transformer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/modelfolder"
)

// The files of a model folder, beside the tokenizer's.
const (
	configJSON               = encodernet.ConfigFile
	modulesJSON              = modelfolder.ModulesFile
	routerJSON               = "router_config.json"
	sentenceBERTJSON         = "sentence_bert_config.json"
	sentenceTransformersJSON = modelfolder.SentenceTransformersFile
	weightsFile              = encodernet.WeightsFile
	retortJSON               = "retort_config.json" // settings that sentence-transformers has no key for
)

// modulePaths holds the modules that each role's texts go through.
type modulePaths struct {
	query, document []modelfolder.Module
	missing         bool // there is no modules.json
}

// shared says whether both roles go through the same modules.
func (r modulePaths) shared() bool { return slices.Equal(r.query, r.document) }

// readModules reads modules.json, and the routes of a Router in it. Without modules.json the folder is one Transformer,
// and nothing says how to pool.
func readModules(dir string) (modulePaths, error) {
	list, err := modelfolder.ReadModules(dir)
	if errors.Is(err, fs.ErrNotExist) {
		alone := []modelfolder.Module{{Kind: "Transformer", Dir: dir}}
		return modulePaths{query: alone, document: alone, missing: true}, nil
	}
	if err != nil {
		return modulePaths{}, err
	}
	var r modulePaths
	for i, m := range list {
		if m.Kind == "Router" || m.Kind == "Asym" {
			if i > 0 {
				return modulePaths{}, fmt.Errorf("%s: module %d: a Router must be the first module",
					filepath.Join(dir, modulesJSON), i)
			}
			if r, err = readRouter(m.Dir); err != nil {
				return modulePaths{}, err
			}
			continue
		}
		isDropout, err := isDropout(m)
		if err != nil {
			return modulePaths{}, err
		}
		if !isDropout {
			r.query = append(r.query, m)
			r.document = append(r.document, m)
		}
	}
	return r, nil
}

func readRouter(dir string) (modulePaths, error) {
	path := filepath.Join(dir, routerJSON)
	j, err := modelfolder.ReadOptional(path)
	if err == nil && j.Len() == 0 {
		path = filepath.Join(dir, configJSON) // of older versions
		j, err = modelfolder.Read(path)
	}
	if err != nil {
		return modulePaths{}, err
	}
	if _, err := routerSchema.Check(j); err != nil {
		return modulePaths{}, err
	}
	types, structure := map[string]string{}, map[string][]string{}
	if _, err := j.Get("types", &types); err != nil {
		return modulePaths{}, err
	}
	if _, err := j.Get("structure", &structure); err != nil {
		return modulePaths{}, err
	}
	route := func(name string) ([]modelfolder.Module, error) {
		ids, ok := structure[name]
		if !ok {
			return nil, fmt.Errorf("%s: structure has no route %q", path, name)
		}
		var modules []modelfolder.Module
		for _, id := range ids {
			class, ok := types[id]
			if !ok {
				return nil, fmt.Errorf("%s: types lacks %q, which route %q names", path, id, name)
			}
			at, err := modelfolder.Join(dir, id)
			if err != nil {
				return nil, fmt.Errorf("%s: types: %w", path, err)
			}
			kind, err := modelfolder.ModuleKind(class)
			if err != nil {
				return nil, fmt.Errorf("%s: types: %s: %w", path, id, err)
			}
			m := modelfolder.Module{Kind: kind, Dir: at}
			isDropout, err := isDropout(m)
			if err != nil {
				return nil, err
			}
			if !isDropout {
				modules = append(modules, m)
			}
		}
		return modules, nil
	}
	var r modulePaths
	if r.query, err = route("query"); err != nil {
		return r, err
	}
	if r.document, err = route("document"); err != nil {
		return r, err
	}
	return r, checkRouterParameters(j, structure)
}

func checkRouterParameters(j modelfolder.Settings, structure map[string][]string) error {
	parameters, err := j.Object("parameters")
	if err != nil {
		return err
	}
	if _, err := routerParametersSchema.Check(parameters); err != nil {
		return err
	}
	var route string
	if _, err := parameters.Get("default_route", &route); err != nil {
		return err
	}
	if parameters.IsSet("default_route") && structure[route] == nil {
		return parameters.Errorf("default_route", "is %q, but structure has no such route", route)
	}
	return nil
}

// isDropout reports whether a module is a Dropout, which changes nothing.
func isDropout(m modelfolder.Module) (bool, error) {
	if m.Kind != "Dropout" {
		return false, nil
	}
	return true, checkFile(filepath.Join(m.Dir, configJSON), dropoutSchema)
}

// checkFile checks a file of settings, which may be missing.
func checkFile(path string, schema modelfolder.Schema) error {
	s, err := modelfolder.ReadOptional(path)
	if err != nil {
		return err
	}
	_, err = schema.Check(s)
	return err
}

// lastName returns what follows the last dot.
func lastName(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
