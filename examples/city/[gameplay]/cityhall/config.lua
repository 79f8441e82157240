Config = {
    auditFirst = 3600,
    auditEvery = 8000,
    -- citizens looked at in one audit
    auditSize = 100,
    licences = { driving = 500, weapon = 2500, fishing = 80, business = 5000 },
}
