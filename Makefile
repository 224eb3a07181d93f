# The two commands of the README are `make demo` and `make test`.
PYTHON ?= python3
V := .venv/bin
ENVS := .venv/envs
# a promotion's clean checkout has no .venv: `make lint TOOLS=` takes the tools of the PATH
TOOLS := $(CURDIR)/$(V)/
INSTALLED := $(if $(TOOLS),.venv/.installed)

.PHONY: demo test test-faults lint types security-scan coverage bench-price-api soak-price-api bench-rollout bench-rollback bench-orchestration audit-dependencies histories test-interleavings lock clean

demo: .venv/.installed
	$(V)/python starter.py demo $(if $(KEEP),--keep)

test: $(INSTALLED) $(ENVS)/github-api/.installed lint types security-scan
	$(TOOLS)pytest -q

# kills, outages and wrong clocks against the real worker, several laptop clouds side by side:
# docs/faults.md. One case again: make test-faults LANES=1 ARGS="-k … --seed …"
LANES ?= 10
test-faults: $(INSTALLED)
	$(TOOLS)pytest -q tests/faults -n $(LANES) --dist worksteal $(ARGS)

lint: $(INSTALLED)
	$(TOOLS)ruff format --check .
	$(TOOLS)ruff check --output-format concise .

types: $(INSTALLED)
	$(TOOLS)mypy starter.py worker.py settings.py cli connection workflows activities release infra bench
	cd api_lambda/prices && $(TOOLS)mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache/prices .
	cd api_lambda/fetcher && $(TOOLS)mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache/fetcher .
	cd api_lambda/guard && $(TOOLS)mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache/guard .

security-scan: $(INSTALLED)
	$(TOOLS)bandit --quiet --configfile pyproject.toml --format custom --msg-template '{relpath}:{line}: {test_id} {msg}' --recursive .
	@echo "no findings"

# the tests that can run within a promotion: tests/whole would start promotions in its turn
coverage: $(INSTALLED)
	$(TOOLS)pytest -q --ignore=tests/whole --ignore=tests/local_supervisor/test_supervisor_processes.py --cov --cov-report=json

# the price handler beside others, on the same work: bench/price_api/README.md
bench-price-api: .venv/.installed
	@$(V)/python -m bench.price_api $(ARGS)

# the price API under load while its DynamoDB fails: bench/soak_price_api/README.md
soak-price-api: .venv/.installed
	@$(V)/python -m bench.soak_price_api $(ARGS)

# the ladders and the judgement beside other release systems', simulated: bench/rollout/README.md
bench-rollout: $(ENVS)/bench-rollout/.installed
	@$(ENVS)/bench-rollout/bin/python -m bench.rollout $(ARGS)

$(ENVS)/bench-rollout/.installed: requirements/bench-rollout.txt | .venv/.installed
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --no-deps --require-hashes -r $<
	touch $@

# 200 rollback drills on a laptop cloud: from a red alarm to all traffic on the baseline
bench-rollback: .venv/.installed
	@$(V)/python -m bench.rollback $(ARGS)

# what a promotion costs Temporal and its workers: bench/orchestration/README.md
bench-orchestration: .venv/.installed
	@$(V)/python -m bench.orchestration $(ARGS)

# thousands of orders of faults, messages and metrics in virtual time: docs/interleavings.md
test-interleavings: .venv/.installed
	@$(V)/python -m tests.simulation $(ARGS)

# known vulnerabilities in all that is pinned; needs PyPI itself, for no mirror has its advisories.
# --strict: a package that could not be asked about is no package without findings
audit-dependencies: $(ENVS)/audit/.installed
	for pins in requirements/*.txt api_lambda/*/requirements.txt; do \
	  $(ENVS)/audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r $$pins || exit 1; \
	done
	cd requirements/github-api && npm audit --package-lock-only

$(ENVS)/audit/.installed: requirements/audit.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --no-deps --require-hashes -r $<
	touch $@

# what tests/flow/test_replay.py replays; again only after the flow was changed on purpose
histories: .venv/.installed
	$(V)/pytest -q tests/flow/record_histories.py

# ministack pins an older botocore than ours, and a Lambda must see only what AWS gives it:
# hence three environments in one folder. The lock files are complete: with --no-deps an older pip
# does not stumble over a newer release of a package that another one wants with an extra
.venv/.installed: requirements/dev.txt requirements/ministack.txt requirements/lambda-runtime.txt
	$(PYTHON) -m venv .venv
	$(V)/pip install --quiet --no-deps --require-hashes -r requirements/dev.txt
	$(PYTHON) -m venv $(ENVS)/ministack
	$(ENVS)/ministack/bin/pip install --quiet --no-deps --require-hashes -r requirements/ministack.txt
	$(PYTHON) -m venv $(ENVS)/lambda-runtime
	$(ENVS)/lambda-runtime/bin/pip install --quiet --no-deps --require-hashes -r requirements/lambda-runtime.txt
	touch $@

# what tests/github holds us to; of every GitHub's description, plain and spelled out, one is read
$(ENVS)/github-api/.installed: requirements/github-api/package.json requirements/github-api/package-lock.json | .venv/.installed
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	find $(@D)/node_modules/@octokit/openapi/generated -name '*.json' ! -name api.github.com.json -delete
	touch $@

# --no-emit-index-url keeps the lock files free of hosts; --universal serves every Python from 3.11
COMPILE := $(V)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --upgrade --quiet

lock: .venv/.installed
	$(COMPILE) pyproject.toml --group dev -o requirements/dev.txt
	$(COMPILE) --group ministack -o requirements/ministack.txt
	$(COMPILE) --group lambda-runtime -o requirements/lambda-runtime.txt
	$(COMPILE) --group bench-rollout -o requirements/bench-rollout.txt
	$(COMPILE) --group audit -o requirements/audit.txt
	$(COMPILE) api_lambda/fetcher/requirements.in -o api_lambda/fetcher/requirements.txt
	cd requirements/github-api && npm update --package-lock-only --omit-lockfile-registry-resolved=true
	$(COMPILE) bench/price_api/variants/powertools/requirements.in -o bench/price_api/variants/powertools/requirements.txt
	$(COMPILE) bench/price_api/variants/fastapi/requirements.in -o bench/price_api/variants/fastapi/requirements.txt

clean:
	rm -rf .venv .local .coverage* coverage.json
