package encoder

// Card is the content of a model card: how the model was trained and measured. Every field is optional. Texts need no
// escaping: Save escapes them.
type Card struct {
	// BaseModel is the name of the model before training, such as its id on the Hugging Face Hub; "" uses the name of
	// the folder that the model was opened from.
	BaseModel string
	// Passages is the number of passages in the corpus.
	Passages int
	// Widths are nested widths that the model was trained at, descending: vectors can be truncated to them. nil: none.
	Widths []int
	// Method describes the training, in the order of the card.
	Method []Fact
	// Verdict is a sentence that states the outcome.
	Verdict string
	// Results compare the model before and after training.
	Results []Result
}

// Fact is a named property.
type Fact struct{ Name, Value string }

// Result compares the model before and after training, paired by query.
type Result struct {
	Measure string  // measure and queries, such as "MRR@10 of held-out queries"
	Queries int     // number of queries
	Delta   float64 // mean of (after - before), in the unit of the measure
	Low     float64 // lower and upper bound of the 95% confidence interval of Delta
	High    float64
	P       float64 // p-value of the difference
}
