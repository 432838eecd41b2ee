package encodernet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/modelfolder"
)

// Family is a row of the table of architectures: what config.json and the weights are called, and what their networks
// have in common.
type Family struct {
	ModelType    string // of config.json
	Known        string // models that people know
	Architecture string // the class in transformers that has no head
	Prefix       string // of the names of weights that were saved with a head
	Tokenizer    string // the class in transformers of a folder that names none
	Schema       modelfolder.Schema

	read  func(*configReader) Config
	names names
}

// Families returns the table of architectures.
func Families() []*Family { return families }

var families = []*Family{
	&bert, &roberta, &xlmRoberta, &camembert, &mpnet, &distilBERT, &gte, &newModel, &modernBERT, &nomicBERT, &qwen3,
}

// FamilyOf returns the family that model_type of config.json names.
func FamilyOf(s modelfolder.Settings) (*Family, error) {
	var modelType string
	isSet, err := s.Get("model_type", &modelType)
	if err != nil {
		return nil, err
	}
	if f := familyOf(modelType); f != nil && isSet {
		return f, nil
	}
	var known []string
	for _, f := range families {
		known = append(known, fmt.Sprintf("%s (%s)", f.ModelType, f.Known))
	}
	return nil, fmt.Errorf("%s: model_type is %q; supported are %s", s, modelType, strings.Join(known, "; "))
}

func familyOf(modelType string) *Family {
	i := slices.IndexFunc(families, func(f *Family) bool { return f.ModelType == modelType })
	if i < 0 {
		return nil
	}
	return families[i]
}

// Family returns the row of the configuration's model_type.
func (c Config) Family() *Family {
	if f := familyOf(c.ModelType); f != nil {
		return f
	}
	return &bert
}

func listed(names []string) string { return strings.Join(names, ", ") }
