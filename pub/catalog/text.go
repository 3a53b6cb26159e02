package catalog

import (
	"encoding/json"
	"fmt"
)

// Text is a string that some publishers write as a JSON number.
type Text string

// UnmarshalJSON takes a string or a number.
func (t *Text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '"' {
		var n json.Number
		if err := json.Unmarshal(b, &n); err != nil {
			return fmt.Errorf("%.20s is neither a string nor a number", b)
		}
		*t = Text(n)
		return nil
	}
	return json.Unmarshal(b, (*string)(t))
}
