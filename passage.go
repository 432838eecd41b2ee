package retort

import "strings"

// Passage is one unit of retrieval.
type Passage struct {
	ID    string `json:"_id"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

// Content returns the title and the text joined by one space, trimmed. Encode passages with it at search time too: all
// of Retort uses this form.
func (p Passage) Content() string {
	return strings.TrimSpace(strings.TrimSpace(p.Title) + " " + strings.TrimSpace(p.Text))
}

// Query is one search request, asked by a person or generated from a passage.
type Query struct {
	ID   string `json:"_id"`
	Text string `json:"text"`
	// Type is the kind of a generated query ("question", "keywords", ...); empty for a query that a person wrote.
	Type string `json:"type,omitempty"`
	// Source is the id of the passage that the query was generated from; empty for a query that a person wrote.
	Source string `json:"source,omitempty"`
	// Origin names the generator (and model) that wrote the query; empty for a query that a person wrote.
	Origin string `json:"origin,omitempty"`
}

// Is reports whether the query is the passage p itself, as in collections whose queries are passages (ArguAna, Quora):
// both have the same id, and the query's text equals p.Text or p.Content(), ignoring case and white space.
func (q Query) Is(p Passage) bool {
	return q.ID == p.ID && q.ID != "" && (sameWords(q.Text, p.Text) || sameWords(q.Text, p.Content()))
}

// OriginExtractive is the Origin, or the beginning of the Origin ("extractive/titles"), of queries whose text was
// copied from their source.
const OriginExtractive = "extractive"

// Extractive reports whether the query's text was copied from its source: Source is set, and Origin begins with
// OriginExtractive. A lexical ranker puts the source of such a query first regardless of its relevance, so the source
// serves to filter the query but not as a positive to train on.
func (q Query) Extractive() bool {
	return q.Source != "" && strings.HasPrefix(q.Origin, OriginExtractive)
}

func sameWords(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// List is a query with the ids of candidate passages, best first if they are ordered, and a teacher's scores.
type List struct {
	Query  Query     `json:"query"`
	IDs    []string  `json:"ids"`
	Scores []float64 `json:"scores,omitempty"` // one per id; nil before a teacher has scored the list
	Weight float64   `json:"weight,omitempty"` // of the list in the loss, >= 0; 0 means 1
}
