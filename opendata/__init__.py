"""What others take with them: data sets as files and queries, CKAN's and DCAT's wire forms, reconciliation."""
