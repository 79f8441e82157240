-- Wages of all businesses, online or not. The sums go to the state at the end of the month.
Payroll = { employees = {}, paid = 0, runs = 0 }

for n = 1, Config.employees do
    local job = JobNames[n % (#JobNames - 1) + 1]
    Payroll.employees[n] = { id = n, wage = Jobs[job].wage, overtime = n % 5, net = 0 }
end

--- Tax goes up within the shift, so it has to be worked out step by step.
function Payroll.payEmployee(employee)
    local perStep = (employee.wage + employee.overtime) / 120
    local gross, tax = 0, 0
    for _ = 1, Config.shift do
        gross = gross + perStep
        local rate = 0
        for _, bracket in ipairs(Config.brackets) do
            if gross >= bracket.from then
                rate = bracket.rate
            end
        end
        tax = tax + perStep * rate
    end
    employee.net = employee.net + gross - tax
    Payroll.paid = Payroll.paid + 1
end

CreateThread(function()
    Wait(Config.payFirst - 1000)
    while true do
        Payroll.runs = Payroll.runs + 1
        -- a few at a time: nobody minds whether the wage comes now or in five seconds
        local started = GetGameTimer()
        for i, employee in ipairs(Payroll.employees) do
            Payroll.payEmployee(employee)
            if i % 10 == 0 then
                Wait(0)
            end
        end
        Wait(math.max(0, Config.payEvery - (GetGameTimer() - started)))
    end
end)

RegisterCommand('payroll', function()
    print(('%d wages paid in %d runs'):format(Payroll.paid, Payroll.runs))
end, true)
