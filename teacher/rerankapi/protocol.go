package rerankapi

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/retort-ir/retort/internal/strictjson"
)

// body returns the request's fields.
func (o Options) body(query string, texts []string) map[string]any {
	fields := map[string]any{}
	switch o.Kind {
	case kindTEI:
		fields["query"], fields["texts"] = query, texts
		fields["raw_scores"], fields["truncate"] = o.RawScores, true
	case kindVLLMScore:
		fields["model"], fields["text_1"], fields["text_2"] = o.Model, query, texts
	case kindJina:
		fields["model"], fields["query"], fields["documents"] = o.Model, query, texts
		fields["return_documents"] = false
	default:
		fields["model"], fields["query"], fields["documents"] = o.Model, query, texts
	}
	if o.Truncate {
		switch o.Kind {
		case kindVLLM, kindVLLMScore:
			fields["truncate_prompt_tokens"] = -1 // at the model's limit
		case kindJina:
			fields["truncation"] = true
		}
	}
	maps.Copy(fields, o.Extra)
	return fields
}

// scored is one document's result. Pointers tell what is missing.
type scored struct {
	Index          *int     `json:"index"`
	Score          *float64 `json:"score"`           // kindTEI, kindVLLMScore
	RelevanceScore *float64 `json:"relevance_score"` // the others
}

// scores reads the answer for n documents. JSON knows no numbers that are not finite.
func (k Kind) scores(answer []byte, n int) ([]float64, error) {
	results, err := k.results(answer)
	if err != nil {
		return nil, fmt.Errorf("the answer is not the answer of a server of the kind %q: %w", k, err)
	}
	if len(results) > n {
		return nil, fmt.Errorf("the server gave %d scores for %d documents", len(results), n)
	}
	scores, seen := make([]float64, n), make([]bool, n)
	for i, r := range results {
		score := r.RelevanceScore
		if k == kindTEI || k == kindVLLMScore {
			score = r.Score
		}
		switch {
		case r.Index == nil:
			return nil, fmt.Errorf("result %d of the server has no index", i)
		case *r.Index < 0 || *r.Index >= n:
			return nil, fmt.Errorf("result %d of the server has the index %d of %d documents", i, *r.Index, n)
		case seen[*r.Index]:
			return nil, documentError{*r.Index, fmt.Sprintf("the server gave two scores for document %d of %d", *r.Index, n)}
		case score == nil:
			return nil, documentError{*r.Index, fmt.Sprintf("result %d of the server has no score", i)}
		}
		scores[*r.Index], seen[*r.Index] = *score, true
	}
	if missing := slices.Index(seen, false); missing >= 0 {
		return nil, documentError{missing, fmt.Sprintf("the server gave %d scores for %d documents", len(results), n)}
	}
	return scores, nil
}

// documentError is what is wrong with the score of one document.
type documentError struct {
	index int
	what  string
}

func (e documentError) Error() string { return e.what }

func (k Kind) results(answer []byte) ([]scored, error) {
	if k == kindTEI {
		var results []scored
		err := strictjson.Unmarshal(answer, &results)
		return results, err
	}
	var object struct {
		Results []scored `json:"results"`
		Data    []scored `json:"data"`
	}
	if err := strictjson.Unmarshal(answer, &object); err != nil {
		return nil, err
	}
	results := object.Results
	if k == kindVLLMScore {
		results = object.Data
	}
	if results == nil {
		return nil, errors.New("no list of results")
	}
	return results, nil
}
