package retort

import (
	"errors"
	"fmt"

	"github.com/retort-ir/retort/internal/strictjson"
)

// Names that other programs use for ids and texts, recognised only to suggest a rename in an error.
var (
	otherIDs   = []string{"id", "docid", "doc_id", "pid", "qid", "query_id"}
	otherTexts = []string{"contents", "content", "body", "passage", "query", "question"}
)

func decodePassage(line []byte) (Passage, error) {
	var record struct {
		ID    strictjson.ID `json:"_id"`
		Title string        `json:"title"`
		Text  string        `json:"text"`
	}
	if err := strictjson.Unmarshal(line, &record); err != nil {
		return Passage{}, err
	}
	p := Passage{ID: string(record.ID), Title: record.Title, Text: record.Text}
	if p.ID == "" {
		return p, missingID(line)
	}
	if p.Text == "" {
		return p, checkText(line)
	}
	return p, nil
}

func decodeQuery(line []byte) (Query, error) {
	var record queryRecord
	if err := strictjson.Unmarshal(line, &record); err != nil {
		return Query{}, err
	}
	q := record.query()
	if q.ID == "" {
		return q, missingID(line)
	}
	if q.Text == "" {
		if err := checkText(line); err != nil {
			return q, err
		}
	}
	return q, checkQuery(q)
}

func decodeList(line []byte) (List, error) {
	var record struct {
		Query  queryRecord     `json:"query"`
		IDs    []strictjson.ID `json:"ids"`
		Scores []float64       `json:"scores"`
		Weight float64         `json:"weight"`
	}
	if err := strictjson.Unmarshal(line, &record); err != nil {
		return List{}, err
	}
	l := List{Query: record.Query.query(), Scores: record.Scores, Weight: record.Weight}
	if record.IDs != nil {
		l.IDs = make([]string, len(record.IDs))
		for i, id := range record.IDs {
			l.IDs[i] = string(id)
		}
	}
	if err := checkMembers(line, l); err != nil {
		return l, err
	}
	return l, checkList(l)
}

// checkMembers returns an error if a missing member of a list is there under a name that differs in case.
func checkMembers(line []byte, l List) error {
	for _, member := range []struct {
		name    string
		isThere bool
	}{
		{"query", l.Query != Query{}}, {"ids", l.IDs != nil}, {"scores", l.Scores != nil},
	} {
		if member.isThere {
			continue
		}
		if name := strictjson.NameLike(line, member.name); name != "" && name != member.name {
			return renameTo(member.name, name)
		}
	}
	return nil
}

type queryRecord struct {
	ID     strictjson.ID `json:"_id"`
	Text   string        `json:"text"`
	Type   string        `json:"type"`
	Source strictjson.ID `json:"source"`
	Origin string        `json:"origin"`
}

func (r queryRecord) query() Query {
	return Query{ID: string(r.ID), Text: r.Text, Type: r.Type, Source: string(r.Source), Origin: r.Origin}
}

// missingID returns the error for a line without an id, with a remedy where the id has another name.
func missingID(line []byte) error {
	id, text := strictjson.NameLike(line, "_id", otherIDs...), strictjson.NameLike(line, "text", otherTexts...)
	switch {
	case id == "_id":
		return errors.New(`"_id" is empty`)
	case id == "id" && text == "contents":
		return errors.New(`no "_id": "id" and "contents" are Pyserini's names: rename them to "_id" and "text" ` +
			`(jq -c '{_id: .id, text: .contents}' FILE)`)
	case id != "":
		return renameTo("_id", id)
	}
	return errors.New(`no "_id"`)
}

// checkText accepts a text that is empty, null or absent. A line whose text has another name is an error: otherwise the
// model would train on empty texts.
func checkText(line []byte) error {
	if name := strictjson.NameLike(line, "text", otherTexts...); name != "" && name != "text" {
		return renameTo("text", name)
	}
	return nil
}

func renameTo(wanted, name string) error {
	return fmt.Errorf("no %[1]q, but %[2]q: names are case-sensitive and must match exactly; rename %[2]q to %[1]q",
		wanted, name)
}
