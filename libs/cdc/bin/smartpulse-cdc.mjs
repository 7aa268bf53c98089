#!/usr/bin/env node
import '../dist/sql-server/main.js';
