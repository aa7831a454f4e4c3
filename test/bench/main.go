// Command bench runs the repository's benchmarks and prints one figure a line,
// "name value unit", and writes them as JSON. Times on a shared machine are
// worth comparing within one run only; counts and bytes are worth keeping.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
)

const module = "github.com/softphone-operator/softphone-operator/"

// figure is one measured value.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

func main() {
	out := flag.String("o", "bench.json", "file for the figures as JSON")
	pattern := flag.String("bench", ".", "benchmarks to run, a regular expression")
	time := flag.String("benchtime", "200ms", "time for each benchmark")
	flag.Parse()
	if err := run(*out, *pattern, *time, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(out, pattern, time string, packages []string) error {
	if len(packages) == 0 {
		packages = []string{"./account/...", "./agent/...", "./test/interop"}
	}
	cmd := exec.Command("go", append([]string{"test", "-run", "^$", "-bench", pattern, "-benchmem", "-benchtime", time}, packages...)...)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	figures, scanErr := read(pipe)
	if err := cmd.Wait(); err != nil {
		return err
	}
	if scanErr != nil {
		return scanErr
	}
	if len(figures) == 0 {
		return fmt.Errorf("no benchmark matches %q in %s", pattern, strings.Join(packages, " "))
	}
	encoded, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(encoded, '\n'), 0o644)
}

// read prints and collects the figures of `go test -bench` output: lines
// "BenchmarkX-2  count  value unit  value unit …" after "pkg: …".
func read(r io.Reader) ([]figure, error) {
	var figures []figure
	pkg := ""
	for lines := bufio.NewScanner(r); ; {
		if !lines.Scan() {
			return figures, lines.Err()
		}
		if p, ok := strings.CutPrefix(lines.Text(), "pkg: "); ok {
			pkg = strings.TrimPrefix(p, module)
			continue
		}
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "Benchmark"), "-")
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return figures, fmt.Errorf("%s: %w", fields[0], err)
			}
			f := figure{Name: path.Join(pkg, name), Value: value, Unit: fields[i+1]}
			fmt.Printf("%s %s %s\n", f.Name, fields[i], f.Unit)
			figures = append(figures, f)
		}
	}
}
