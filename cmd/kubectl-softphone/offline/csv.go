package offline

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/softphone-operator/softphone-operator/account"
)

// columnNames are what people call nodes in lists of extensions.
var columnNames = map[string]string{
	"extension": "username", "user": "username", "number": "username",
	"name": "title", "displayname": "userDisplayName",
	"secret": "password",
}

// usualColumns are those of a list without a first row of names.
var usualColumns = []string{"username", "password", "title"}

// maxCSV bounds the file; ten thousand extensions have about a megabyte.
const maxCSV = 16 << 20

func readCSV(cmd *cobra.Command, name string) ([]imported, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, problems, err := parseCSV(f, name)
	if err != nil {
		return nil, err
	}
	if err := printProblems(cmd.ErrOrStderr(), problems); err != nil {
		return nil, err
	}
	if len(account.Errors(problems)) > 0 {
		return nil, fmt.Errorf("%s is not a valid list of accounts", name)
	}
	return all, nil
}

// parseCSV reads a list of extensions (RFC 4180; commas, semicolons or tabs, with
// or without a byte order mark). Values that are wrong are problems at their row
// and column; a list that cannot be read at all is an error. Neither shows a value
// of a secret.
func parseCSV(in io.Reader, name string) ([]imported, []account.Problem, error) {
	content, err := io.ReadAll(io.LimitReader(in, maxCSV+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	case len(content) > maxCSV:
		return nil, nil, fmt.Errorf("%s: is larger than %d MiB", name, maxCSV>>20)
	case !utf8.Valid(content):
		return nil, nil, fmt.Errorf("%s: is not UTF-8: save it as such", name)
	}
	content = bytes.TrimPrefix(content, []byte("\uFEFF"))
	rows := csv.NewReader(bytes.NewReader(content))
	rows.Comma = separator(content)
	rows.FieldsPerRecord = -1
	var list csvList
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return list.accounts, list.problems, list.complete(name)
		}
		if err != nil {
			return nil, nil, csvError(name, err)
		}
		if err := list.add(name, row, rows); err != nil {
			return nil, nil, err
		}
	}
}

// separator is the one of comma, semicolon and tab that the first line has most of.
func separator(content []byte) rune {
	first, _ := bufio.NewReader(bytes.NewReader(content)).ReadString('\n')
	best, most := ',', 0
	for _, r := range ",;\t" {
		if n := strings.Count(first, string(r)); n > most {
			best, most = r, n
		}
	}
	return best
}

// csvError is the reader's error with the place in the form of all problems.
func csvError(name string, err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("%s:%d:%d: %w", name, parse.Line, parse.Column, parse.Err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// csvList is a list while it is read.
type csvList struct {
	columns  []string
	accounts []imported
	problems []account.Problem
}

// add takes a row over; the first one may name the columns.
func (l *csvList) add(name string, row []string, at *csv.Reader) error {
	line, _ := at.FieldPos(0)
	if l.columns == nil {
		columns, found, err := header(name, row, at)
		if err != nil || found {
			l.columns = columns
			return err
		}
		l.columns = usualColumns
	}
	if len(row) > len(l.columns) {
		return fmt.Errorf("%s:%d: %d columns, and %d are known", name, line, len(row), len(l.columns))
	}
	doc := &account.Document{File: name, Line: line, Col: 1}
	for i, value := range row {
		node := l.columns[i]
		if !account.IsSecret(node) {
			value = strings.TrimSpace(value)
		}
		if value == "" {
			continue
		}
		row, col := at.FieldPos(i)
		doc.Nodes = append(doc.Nodes, account.Node{Name: node, Text: value, File: name, Line: row, Col: col})
	}
	if len(doc.Nodes) == 0 {
		return nil
	}
	l.problems = append(l.problems, doc.ValidateLayer(account.Authored)...)
	user, ok := doc.Get("username")
	if !ok {
		l.problems = append(l.problems, account.Problem{File: name, Line: line, Col: 1, Node: "username", Message: "is missing"})
		return nil
	}
	object, err := objectName(user.Value())
	if err != nil {
		return fmt.Errorf("%s:%d: %w", name, line, err)
	}
	l.accounts = append(l.accounts, imported{name: object, from: fmt.Sprintf("%s:%d", name, line), doc: doc})
	return nil
}

// header reads a row of column names. It is one when every cell names a column;
// one that names some and not others is a mistake.
func header(name string, row []string, at *csv.Reader) (columns []string, found bool, err error) {
	unknown := 0
	seen := map[string]bool{}
	for i, cell := range row {
		node := column(cell)
		switch {
		case node == "":
			unknown = i
		case seen[node]:
			line, col := at.FieldPos(i)
			return nil, true, fmt.Errorf("%s:%d:%d: a second column for %s", name, line, col, node)
		}
		seen[node] = true
		columns = append(columns, node)
	}
	delete(seen, "")
	switch {
	case len(seen) == 0:
		return nil, false, nil
	case len(seen) < len(row):
		line, col := at.FieldPos(unknown)
		return nil, true, fmt.Errorf("%s:%d:%d: the other columns have names, and this is no node of the account XML", name, line, col)
	}
	return columns, true, nil
}

// column is the node that a cell of the first row names; "" when it names none.
func column(cell string) string {
	cell = strings.TrimSpace(cell)
	if node, ok := columnNames[strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(cell))]; ok {
		return node
	}
	if row, ok := account.Lookup(cell); ok {
		return row.Name
	}
	return ""
}

func (l *csvList) complete(name string) error {
	if len(l.accounts) == 0 && len(l.problems) == 0 {
		return fmt.Errorf("%s: has no rows", name)
	}
	return nil
}
