package provisioning

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// takeAgent reads agent.json. None means defaults; a broken one leaves the last
// good one in force.
func (s *Source) takeAgent(raw rawFiles) {
	if err := raw.failed[delivery.AgentFile]; err != nil {
		s.reject(delivery.AgentFile, err)
		return
	}
	content, there := raw.content[delivery.AgentFile]
	if !there {
		s.agent, s.agentBytes, s.agentLoaded = delivery.Agent{}, nil, true
		return
	}
	agent, err := parseAgent(content)
	if err != nil {
		s.reject(delivery.AgentFile, err)
		return
	}
	s.agent, s.agentBytes, s.agentLoaded = agent, content, true
}

// parseAgent reads agent.json. Fields it does not know are left to newer
// versions of the agent.
func parseAgent(content []byte) (delivery.Agent, error) {
	var agent delivery.Agent
	if err := json.Unmarshal(content, &agent); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line, col := position(content, syntax.Offset)
			return agent, fmt.Errorf("%s:%d:%d: %w", delivery.AgentFile, line, col, err)
		}
		return agent, fmt.Errorf("%s: %w", delivery.AgentFile, err)
	}
	return agent, agent.Validate()
}

// position turns the offset of a JSON error into line and column, from 1.
func position(content []byte, offset int64) (line, col int) {
	before := content[:min(max(offset-1, 0), int64(len(content)))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

// readLines reads a file of lines, and lets them share the settings that are equal.
func (s *Source) readLines(name, file string, content []byte) ([]parsedLine, error) {
	lines, err := parseLines(name, file, content)
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		s.shared.Share(l.account)
	}
	return lines, nil
}

// parseLines reads one file. It is taken whole or not at all.
func parseLines(name, file string, content []byte) ([]parsedLine, error) {
	documents, problems, err := account.Read(bytes.NewReader(content), account.ReadOptions{Mode: account.Authored, File: file})
	if err != nil {
		return nil, err
	}
	if len(documents) == 0 {
		return nil, fmt.Errorf("%s: no <account> in it", file)
	}
	several := len(documents) > 1
	var lines []parsedLine
	for i, d := range documents {
		p := parsedLine{name: name, raw: content}
		if several {
			p.name = name + "/" + documentID(d, i)
			var b bytes.Buffer
			if err := d.Write(&b, account.WriteOptions{Provenance: true}); err != nil {
				return nil, fmt.Errorf("%s:%d:%d: %w", file, d.Line, d.Col, err)
			}
			p.raw = b.Bytes()
		}
		if slices.ContainsFunc(lines, func(other parsedLine) bool { return other.name == p.name }) {
			return nil, fmt.Errorf("%s:%d:%d: a second account with the id %q", file, d.Line, d.Col, documentID(d, i))
		}
		if _, ok := d.Get("title"); !ok {
			d.Set("title", p.name, account.PriorityDefault, account.SourceDefault)
		}
		problems = append(problems, d.Validate(account.Authored)...)
		var more []account.Problem
		p.account, more = account.Effective(d)
		problems = append(problems, more...)
		lines = append(lines, p)
	}
	return lines, reasons(problems)
}

// documentID names one of several accounts in a file: its id attribute, else its place.
func documentID(d *account.Document, i int) string {
	return cmp.Or(d.ID(), strconv.Itoa(i+1))
}

// maxReasons bounds what a rejection says; a status is no place for a book.
const maxReasons = 3

// reasons makes one error of what is wrong with a file, each thing said once;
// nil when there are only warnings.
func reasons(problems []account.Problem) error {
	var said []string
	for _, p := range account.Errors(problems) {
		if text := p.String(); !slices.Contains(said, text) {
			said = append(said, text)
		}
	}
	if len(said) == 0 {
		return nil
	}
	if more := len(said) - maxReasons; more > 0 {
		said = append(said[:maxReasons], fmt.Sprintf("and %d more", more))
	}
	return errors.New(strings.Join(said, "; "))
}
