Config = {
    bankName = 'Fleeca',
    -- movements on the yearly statement of a business account
    statementRows = 25000,
}
